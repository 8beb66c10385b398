"""From option values to the records of a simulation."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from aurefine.errors import OptionError
from aurefine.jobs.options import check_values, find_option, with_defaults
from aurefine.jobs.simulate_table import PRESETS, SIMULATE_OPTIONS
from aurefine.optics.groups import OpticsGroup
from aurefine.simulate.settings import SimulationSettings

__all__ = [
    "SIMULATE_OPTIONS",
    "SimulateJob",
    "complete_values",
    "to_optics_groups",
    "to_settings",
    "to_simulate_job",
]

T = TypeVar("T")

_SETTINGS = frozenset(field.name for field in fields(SimulationSettings))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateJob:
    """Files and ways of running, which the simulation does not know; Å."""

    output: str
    atoms: str
    map: str
    map_pixel_size: float
    n_threads: int
    reference_lowpass: float
    reference_scale: float
    reference_offset: float


def complete_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check values and fill in those of the preset and the defaults.

    Parameters
    ----------
    given : mapping of str to value
        By option name.

    Raises
    ------
    OptionError
        For an unknown name or a value that is not allowed.
    """
    check_values(SIMULATE_OPTIONS, given)
    preset = given.get("preset", "none")
    full = with_defaults(SIMULATE_OPTIONS, {**PRESETS[preset], **given})
    if preset == "demo" and not full["atoms"] and not full["map"]:
        data = importlib.resources.files("aurefine.simulate") / "data" / "bgal_d2.npz"
        full["atoms"] = str(data)
    if bool(full["atoms"]) == bool(full["map"]):
        raise OptionError(
            "options --atoms and --map: give one of them, the particle to simulate "
            "(or --preset demo)."
        )
    if not full.get("output"):
        raise OptionError("option --o (Output folder) is missing.")
    return full


def to_simulate_job(full: Mapping[str, Any]) -> SimulateJob:
    """Return the file names and ways of running of a complete set of values."""
    return SimulateJob(**{field.name: full[field.name] for field in fields(SimulateJob)})


def to_settings(full: Mapping[str, Any], particle_diameter: float) -> SimulationSettings:
    """Return the settings of a complete set of values.

    Parameters
    ----------
    full : mapping
        From `complete_values`.
    particle_diameter : float
        Used if the option is not given [Å].

    Raises
    ------
    OptionError
        If values contradict each other.
    """
    chosen = {name: full[name] for name in _SETTINGS if name in full}
    if chosen["particle_diameter"] <= 0:
        chosen["particle_diameter"] = particle_diameter
    chosen["seed"] = full["random_seed"]
    chosen["view_axes"] = tuple(
        _vector(part, 3, "--view_axes") for part in full["view_axes"].split(";") if part.strip()
    )
    try:
        return SimulationSettings(**chosen)
    except ValueError as error:
        raise OptionError(f"simulation settings: {error}.") from error


def to_optics_groups(full: Mapping[str, Any]) -> tuple[tuple[OpticsGroup, ...], tuple[float, ...]]:
    """Return the optics groups of a complete set of values.

    Returns
    -------
    groups : tuple of OpticsGroup
    phase_shifts : tuple of float
        Of each group [degrees].

    Raises
    ------
    OptionError
        If a list has neither one value nor one per group, or a value makes no sense.
    """
    lists: dict[str, Sequence[Any]] = {
        "box": _each(full, "box", _whole),
        "premultiplied": _each(full, "premultiplied", _whole),
        "odd_zernike": _each(full, "odd_zernike", _coefficients, ";"),
        "even_zernike": _each(full, "even_zernike", _coefficients, ";"),
        "magnification": _each(full, "magnification", _matrix, ";"),
    }
    for name in (
        "pixel_size", "voltage", "spherical_aberration", "amplitude_contrast", "phase_shift",
        "beam_tilt_x", "beam_tilt_y",
    ):  # fmt: skip
        lists[name] = _each(full, name, _finite)
    n_groups = max(len(values) for values in lists.values())
    for name, values in lists.items():
        if len(values) not in (1, n_groups):
            raise OptionError(
                f"option {_flag(name)}: found {len(values)} values for {n_groups} optics groups, "
                "expected one value or one for each."
            )
    if full["n_micrographs"] < n_groups:
        raise OptionError(
            f"option --n_micrographs: found {full['n_micrographs']}, expected at least {n_groups}: "
            "every optics group needs a micrograph."
        )
    if full["n_particles"] < n_groups:
        raise OptionError(
            f"option --n_particles: found {full['n_particles']}, expected at least {n_groups}: "
            "every optics group needs a particle."
        )
    rows = [
        {name: values[index % len(values)] for name, values in lists.items()}
        for index in range(n_groups)
    ]
    groups = tuple(_make_group(index + 1, row) for index, row in enumerate(rows))
    return groups, tuple(row["phase_shift"] for row in rows)


def _make_group(number: int, row: Mapping[str, Any]) -> OpticsGroup:
    checks = (
        ("box", row["box"] >= 16 and row["box"] % 2 == 0, "an even number of at least 16 px"),
        ("pixel_size", row["pixel_size"] > 0, "a positive number of Å"),
        ("voltage", row["voltage"] > 0, "a positive number of kV"),
        ("amplitude_contrast", 0 <= row["amplitude_contrast"] <= 1, "a fraction, 0 to 1"),
        ("premultiplied", row["premultiplied"] in (0, 1), "0 or 1"),
    )
    for name, is_good, expected in checks:
        if not is_good:
            raise OptionError(f"option {_flag(name)}: found {row[name]}, expected {expected}.")
    return OpticsGroup(
        number=number,
        name=f"opticsGroup{number}",
        voltage=row["voltage"],
        spherical_aberration=row["spherical_aberration"],
        amplitude_contrast=row["amplitude_contrast"],
        pixel_size=row["pixel_size"],
        box_size=row["box"],
        beam_tilt_x=row["beam_tilt_x"],
        beam_tilt_y=row["beam_tilt_y"],
        odd_zernike=row["odd_zernike"],
        even_zernike=row["even_zernike"],
        magnification=np.array(row["magnification"] or (1.0, 0.0, 0.0, 1.0)).reshape(2, 2),
        is_premultiplied=bool(row["premultiplied"]),
        original_pixel_size=row["pixel_size"],
    )


def _flag(name: str) -> str:
    return find_option(SIMULATE_OPTIONS, name).flag


def _each(
    full: Mapping[str, Any], name: str, convert: Callable[[str], T], separator: str = ","
) -> list[T]:
    """Convert the values of the optics groups."""
    text = str(full[name])
    try:
        return [convert(part) for part in text.split(separator)]
    except ValueError:
        raise OptionError(
            f"option {_flag(name)}: found '{text}', expected one value, or one for each optics "
            f"group separated by '{separator}'; for example {_EXAMPLES.get(name, '300,200')}."
        ) from None


_EXAMPLES = {
    "box": "64,80",
    "premultiplied": "0,1",
    "odd_zernike": "[0,0,0.5];[]",
    "even_zernike": "[0,0,0.5];[]",
    "magnification": "[1.01,0,0,0.99];[]",
}


def _finite(text: str) -> float:
    value = float(text)
    if not np.isfinite(value):
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    value = _finite(text)
    if value != int(value):
        raise ValueError(text)
    return int(value)


def _coefficients(text: str) -> tuple[float, ...]:
    inner = text.strip().removeprefix("[").removesuffix("]")
    values = tuple(float(part) for part in inner.split(",")) if inner.strip() else ()
    if not np.isfinite(values).all():
        raise ValueError(text)
    return values


def _matrix(text: str) -> tuple[float, ...]:
    values = _coefficients(text)
    if values and (len(values) != 4 or abs(values[0] * values[3] - values[1] * values[2]) < 1e-3):
        raise ValueError(text)
    return values


def _vector(text: str, length: int, flag: str) -> tuple[float, ...]:
    try:
        values = _coefficients(text)
    except ValueError:
        values = ()
    if len(values) != length:
        raise OptionError(
            f"option {flag}: found '{text}', expected {length} numbers such as 0,0,1."
        )
    return values
