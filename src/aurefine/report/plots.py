"""Figures of a refinement: resolution, progress, orientations, the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from aurefine.report.directions import direction_histogram

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "History",
    "draw_fsc",
    "draw_map_slices",
    "draw_orientations",
    "draw_progress",
]

Float = npt.NDArray[np.float64]
History: TypeAlias = "pd.DataFrame | Sequence[Mapping[str, Any]]"

_LAST = "#c0392b"
_FIRST_COLOURS = "viridis"
_MAIN = "#1f4e79"
_SECOND = "#d9822b"
_THIRD = "#4f8f4f"
_GREY = "0.55"


def draw_fsc(
    fsc: npt.ArrayLike,
    pixel_size: float,
    *,
    iterations: Sequence[int] | None = None,
    final: npt.ArrayLike | None = None,
    joined: float = 0.0,
    title: str = "Gold-standard FSC",
) -> Figure:
    """Plot the FSC between the halves for each iteration.

    Parameters
    ----------
    fsc : array-like, shape (n_iterations, n_shells)
        One curve per row, shells 0 to box / 2. Zeros at the end are shells that the iteration did
        not reach; they are not drawn.
    pixel_size : float
        [Å]
    iterations : sequence of int, optional
        Numbers of the rows; 1, 2, ... by default.
    final : array-like, shape (n_shells,), optional
        The curve of the joined last iteration, drawn on top.
    joined : float
        Resolution up to which the halves are joined [Å]; 0 for none.
    title : str

    Returns
    -------
    Figure
    """
    curves = np.atleast_2d(np.asarray(fsc, dtype=np.float64))
    numbers = list(range(1, len(curves) + 1)) if iterations is None else list(iterations)
    figure, axes = _figure(6.4, 4.4, margins=(0.1, 0.93, 0.115, 0.8))
    n_shells = curves.shape[1] if curves.size else len(np.asarray(final))
    frequency = np.arange(n_shells) / (2 * (n_shells - 1) * pixel_size)
    colours = _colour_map(_FIRST_COLOURS)(np.linspace(0.05, 0.92, max(len(curves), 1)))
    labelled = _spread(len(curves), 6)
    for row, (curve, number) in enumerate(zip(curves, numbers, strict=True)):
        label = f"iteration {number}" if row in labelled else None
        axes.plot(frequency, _reached(curve), color=colours[row], linewidth=1.2, label=label)
    last = curves[-1] if final is None else np.asarray(final, dtype=np.float64)
    if final is not None:
        axes.plot(frequency, _reached(last), color=_LAST, linewidth=2.2, label="final")
    for level, style in ((0.5, (0, (5, 4))), (0.143, (0, (2, 2)))):
        axes.axhline(level, color=_GREY, linestyle=style, linewidth=0.9)
        axes.annotate(
            f"{level:g}", (1, level), xycoords=("axes fraction", "data"), fontsize=8,
            xytext=(3, 0), textcoords="offset points", va="center", color="0.35",
        )  # fmt: skip
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    if joined > 0:
        label = f"halves joined to {joined:g} Å"
        axes.axvspan(0, 1 / joined, color="0.93", linewidth=0, zorder=-1, label=label)
    _mark_resolution(axes, frequency, last, 0.143)
    axes.set(xlim=(0, frequency[-1]), ylim=(min(-0.1, float(last.min()) - 0.03), 1.03))
    axes.set_xlabel("spatial frequency (1/Å)")
    axes.set_ylabel("Fourier shell correlation")
    axes.set_title(title, pad=32, fontweight="bold", fontsize=11)
    _resolution_axis(axes)
    axes.legend(facecolor="white", edgecolor="none", framealpha=0.9, fontsize=8, loc="best")
    return figure


def draw_progress(history: History, *, title: str = "Progress of the refinement") -> Figure:
    """Plot resolution, angles, offsets and Pmax against the iteration.

    Parameters
    ----------
    history : DataFrame or sequence of mappings
        One row per iteration with any of: ``iteration``, ``resolution``, ``fsc_resolution`` [Å],
        ``accuracy_angles``, ``angular_step``, ``changes_angles`` [degrees],
        ``accuracy_offsets``, ``offset_step``, ``changes_offsets`` [Å], ``pmax``. Values of 999
        and more count as unknown.
    title : str

    Returns
    -------
    Figure
    """
    table = _known(history)
    figure, grid = _figure(
        8.2, 6.2, rows=2, columns=2, margins=(0.08, 0.98, 0.08, 0.925), spaces=(0.24, 0.22)
    )
    resolution, angles, pmax, offsets = grid[0][0], grid[0][1], grid[1][0], grid[1][1]
    _lines(
        resolution,
        table,
        {
            "resolution": ("current resolution", _MAIN, "o"),
            "fsc_resolution": ("gold-standard FSC 0.143", _THIRD, "s"),
        },
    )
    resolution.set(ylabel="resolution (Å)")
    if len(resolution.lines) > 1:
        resolution.legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(1, 0.9))
    _lines(
        angles,
        table,
        {
            "angular_step": ("sampling step", _GREY, "s"),
            "accuracy_angles": ("estimated accuracy", _MAIN, "o"),
            "changes_angles": ("change", _SECOND, "^"),
        },
    )
    angles.set(ylabel="angles (degrees)")
    _lines(
        offsets,
        table,
        {
            "offset_step": ("sampling step", _GREY, "s"),
            "accuracy_offsets": ("estimated accuracy", _MAIN, "o"),
            "changes_offsets": ("change", _SECOND, "^"),
        },
    )
    offsets.set(ylabel="offsets (Å)")
    _lines(pmax, table, {"pmax": ("mean Pmax", _THIRD, "o")})
    pmax.set(ylabel="mean probability of the best pose", ylim=(0, 1.02))
    for axes in (angles, offsets):
        if axes.lines:
            axes.set_yscale("log")
            axes.legend(frameon=False, fontsize=8)
            _plain_log_ticks(axes)
    for row in grid:
        for axes in row:
            axes.set_xlabel("iteration")
            _whole_number_ticks(axes)
    _mark_final(resolution, table)
    figure.suptitle(title, fontweight="bold", fontsize=11)
    return figure


def draw_orientations(
    rot: npt.ArrayLike,
    tilt: npt.ArrayLike,
    *,
    symmetry: Float | None = None,
    title: str = "Orientation distribution",
) -> Figure:
    """Plot how many particles are seen from each direction.

    Parameters
    ----------
    rot, tilt : array-like, shape (n_particles,)
        [degrees]
    symmetry : ndarray, shape (n_operators, 3, 3), optional
        Each particle then counts in the directions of all its symmetry mates, 1/n in each.
    title : str

    Returns
    -------
    Figure

    Notes
    -----
    Mollweide projection with bins of equal area: even colour means an even distribution.
    """
    n = len(np.asarray(rot))
    n_mates = 1 if symmetry is None else len(symmetry)
    counts = direction_histogram(rot, tilt, symmetry=symmetry)
    rows = np.linspace(-1, 1, counts.shape[0] + 1)  # of the sine of the latitude
    columns = np.linspace(-180, 180, counts.shape[1] + 1)

    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(7.2, 4.2, projection="mollweide", margins=(0.08, 0.98, 0.25, 0.9))
    # drawn on a finer grid, because the sides of a cell are straight and the map is not
    north, east = np.linspace(-90, 90, 181), np.linspace(-180, 180, 361)
    row = np.searchsorted(rows, np.sin(np.deg2rad(north[:-1] + 0.5)), side="right") - 1
    column = np.searchsorted(columns, east[:-1] + 0.5, side="right") - 1
    mesh = axes.pcolormesh(
        np.deg2rad(east), np.deg2rad(north), counts[np.ix_(row, column)],
        cmap="viridis", vmin=0, rasterized=True,
    )  # fmt: skip
    scale = figure.add_axes((0.22, 0.13, 0.6, 0.03))
    bar = figure.colorbar(mesh, cax=scale, orientation="horizontal")
    bar.set_label("particles per bin (bins of equal area)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.locator = MaxNLocator(nbins=8)
    bar.update_ticks()
    axes.grid(color="white", alpha=0.35, linewidth=0.6)
    axes.set_xticks(np.deg2rad([-120, -60, 0, 60, 120]), ["−120°", "−60°", "0°", "60°", "120°"])
    axes.tick_params(axis="x", colors="white", labelsize=8)
    # latitude is 90° - tilt
    axes.set_yticks(np.deg2rad([-60, -30, 0, 30, 60]), ["150°", "120°", "90°", "60°", "30°"])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("rot")
    axes.set_ylabel("tilt")
    mates = ", with symmetry mates" if n_mates > 1 else ""
    axes.set_title(f"{title} ({n} particles{mates})", fontweight="bold", fontsize=11)
    return figure


def draw_map_slices(
    volume: npt.NDArray[np.floating],
    pixel_size: float,
    *,
    title: str = "Map",
) -> Figure:
    """Show central slices and projections of a map along its three axes.

    Parameters
    ----------
    volume : ndarray, shape (n, n, n)
        (z, y, x)
    pixel_size : float
        [Å]
    title : str

    Returns
    -------
    Figure
    """
    n = volume.shape[0]
    width = n * pixel_size
    slices = [volume[n // 2], volume[:, n // 2], volume[:, :, n // 2]]
    sums = [volume.sum(axis=axis, dtype=np.float64) for axis in range(3)]
    figure, grid = _figure(
        8.4, 5.9, rows=2, columns=3, shares_axes=True,
        margins=(0.065, 0.99, 0.075, 0.905), spaces=(0.14, 0.12),
    )  # fmt: skip
    names = [("x", "y", "z"), ("x", "z", "y"), ("y", "z", "x")]  # across, up, along
    for row, (images, kind) in enumerate(((slices, "slice"), (sums, "projection"))):
        for column, (image, (across, up, along)) in enumerate(zip(images, names, strict=True)):
            axes = grid[row][column]
            low, high = np.percentile(slices if kind == "slice" else image, (0.5, 99.8))
            axes.imshow(
                image, cmap="gray", origin="lower", vmin=low, vmax=high,
                extent=(-width / 2, width / 2, -width / 2, width / 2), interpolation="bilinear",
            )  # fmt: skip
            what = f"central slice, {along} = 0" if kind == "slice" else f"projection along {along}"
            axes.set_title(what, fontsize=9)
            if row == 1:
                axes.set_xlabel(f"{across} (Å)", fontsize=8)
            axes.set_ylabel(f"{up} (Å)", fontsize=8, labelpad=1)
            axes.tick_params(labelsize=7)
    figure.suptitle(f"{title}: {n} px of {pixel_size:.4g} Å", fontweight="bold", fontsize=11)
    return figure


def _figure(
    width: float,
    height: float,
    *,
    margins: tuple[float, float, float, float],
    rows: int = 1,
    columns: int = 1,
    spaces: tuple[float, float] = (0.2, 0.2),
    projection: str | None = None,
    shares_axes: bool = False,
) -> tuple[Figure, Any]:
    """Return a figure on its own, outside pyplot's global state.

    Margins (left, right, bottom, top) are shares of the figure, spaces (between rows, between
    columns) those of the axes. They are given, because finding them would take as long as drawing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    names = ("left", "right", "bottom", "top", "hspace", "wspace")
    figure.subplots_adjust(**dict(zip(names, (*margins, *spaces), strict=True)))
    grid = figure.subplots(
        rows, columns, squeeze=False, subplot_kw={"projection": projection},
        sharex=shares_axes, sharey=shares_axes,
    )  # fmt: skip
    if projection is None:
        for axes in grid.flat:
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
    return figure, grid[0][0] if rows == columns == 1 else grid


def _colour_map(name: str) -> Any:
    from matplotlib import colormaps

    return colormaps[name]


def _spread(n: int, most: int) -> set[int]:
    """Return up to `most` rows, evenly spread, with the first and the last."""
    if n <= most:
        return set(range(n))
    return {round(index) for index in np.linspace(0, n - 1, most)}


def _reached(curve: Float) -> Float:
    """Leave out the zeros of shells beyond the image size of the iteration."""
    out = curve.copy()
    out[len(np.trim_zeros(curve, "b")) :] = np.nan
    return out


def _mark_resolution(axes: Axes, frequency: Float, curve: Float, level: float) -> None:
    below = np.flatnonzero(curve[1:] < level)
    if not below.size:
        return
    shell = max(int(below[0]), 1)  # the last shell above the level
    axes.annotate(
        f"{1 / frequency[shell]:.2f} Å at {level:g}", (float(frequency[shell]), level), fontsize=9,
        xytext=(8, 14), textcoords="offset points", color="0.1",
        arrowprops={"arrowstyle": "-", "color": "0.3", "linewidth": 0.8},
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )  # fmt: skip


def _resolution_axis(axes: Axes) -> None:
    """Label the upper edge with resolutions."""
    top = axes.twiny()
    top.spines["right"].set_visible(False)
    top.set_xlim(axes.get_xlim())
    ticks = [float(tick) for tick in axes.get_xticks() if 0 < tick <= axes.get_xlim()[1]]
    top.set_xticks(ticks, [f"{1 / tick:.3g}" for tick in ticks])
    top.tick_params(labelsize=8)
    top.set_xlabel("resolution (Å)", fontsize=9)


def _known(history: History) -> pd.DataFrame:
    import pandas as pd  # slow to import, and not needed for the other figures

    table = history.copy() if isinstance(history, pd.DataFrame) else pd.DataFrame(list(history))
    if "iteration" not in table:
        table["iteration"] = np.arange(1, len(table) + 1)
    for name in table.columns.drop("iteration"):
        if pd.api.types.is_numeric_dtype(table[name]):
            values = table[name].astype(np.float64)
            table[name] = values.where((values < 999) & np.isfinite(values))
    return table


def _lines(axes: Axes, table: pd.DataFrame, lines: Mapping[str, tuple[str, str, str]]) -> None:
    for name, (label, colour, marker) in lines.items():
        if name in table and table[name].notna().any():
            axes.plot(
                table["iteration"], table[name], color=colour, marker=marker, markersize=4,
                linewidth=1.4, label=label,
                drawstyle="steps-mid" if label == "sampling step" else "default",
            )  # fmt: skip
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def _mark_final(axes: Axes, table: pd.DataFrame) -> None:
    """Write the last resolution into the corner."""
    if "resolution" not in table or not table["resolution"].notna().any():
        return
    row = table[table["resolution"].notna()].iloc[-1]
    axes.annotate(
        f"iteration {int(row['iteration'])}: {row['resolution']:.2f} Å", (0.97, 0.93), ha="right",
        xycoords="axes fraction", fontsize=9, color=_MAIN,
    )  # fmt: skip


def _whole_number_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))


def _plain_log_ticks(axes: Axes) -> None:
    """Write 0.5, 1, 2, 5, 10 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
