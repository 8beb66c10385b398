"""Run a simulation: from option values to particle stacks, tables and maps in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aurefine import __version__
from aurefine.errors import ImageError, OptionError, OutputError
from aurefine.fourier.filters import lowpass_filter
from aurefine.io.atomic import write_text_atomic
from aurefine.io.mrc import StackWriter, check_finite, read_map, write_map
from aurefine.io.particles import write_particles
from aurefine.jobs.run_log import RunLog
from aurefine.jobs.simulate_files import particle_tables, settings_text
from aurefine.jobs.simulate_options import (
    SimulateJob,
    complete_values,
    to_optics_groups,
    to_settings,
    to_simulate_job,
)
from aurefine.optics.groups import OpticsGroup
from aurefine.simulate.atoms import AtomSet, map_from_atoms, read_atoms
from aurefine.simulate.particles import ParticleSimulator
from aurefine.simulate.projector import (
    AtomProjector,
    MapProjector,
    MapTransform,
    Projector,
    resample_map,
)
from aurefine.simulate.truth import Truth, draw_truth

__all__ = ["run_job"]

_MARGIN = 5.0  # Å around the outermost atoms
_DIAMETER_OF_BOX = 0.8  # default particle diameter of a map
_LARGEST_DIAMETER_OF_BOX = 0.95


class _Source(Protocol):
    """What is simulated."""

    diameter: float  # default of the particle diameter [Å]
    description: str

    def projector(self, group: OpticsGroup) -> Projector:
        """Return a projector in the image geometry of an optics group."""
        ...

    def density(self, box: int, pixel_size: float) -> npt.NDArray[np.float32]:
        """Return the true map, before scaling."""
        ...


class _AtomSource:
    """A particle made of atoms."""

    def __init__(self, path: str, smallest_field: float, bfactor: float) -> None:
        self._atoms: AtomSet = read_atoms(path)
        self._bfactor = bfactor
        width = 2.0 * self._atoms.max_radius
        if width > smallest_field:
            raise OptionError(
                f"options --box and --angpix: the images are {smallest_field:.0f} Å wide, but the "
                f"particle in {path} needs {width:.0f} Å. Use a larger box or pixel size."
            )
        self.diameter = min(width + 2 * _MARGIN, _LARGEST_DIAMETER_OF_BOX * smallest_field)
        self.description = f"{len(self._atoms.coordinates)} atoms, {self._atoms.symmetry}"

    def projector(self, group: OpticsGroup) -> Projector:
        return AtomProjector(
            self._atoms,
            group.box_size,
            group.pixel_size,
            bfactor=self._bfactor,
            magnification=group.magnification,
        )

    def density(self, box: int, pixel_size: float) -> npt.NDArray[np.float32]:
        return map_from_atoms(self._atoms, box, pixel_size, bfactor=self._bfactor)


class _MapSource:
    """A particle given as a map."""

    def __init__(self, path: str, pixel_size: float, smallest_field: float, bfactor: float) -> None:
        self._density, header_pixel_size = read_map(path)
        check_finite(self._density, path)
        n = self._density.shape[0]
        if self._density.shape != (n, n, n) or n % 2:
            shape = " x ".join(str(size) for size in self._density.shape)
            raise ImageError(f"{path}: found {shape} px, expected a cubic map of even size.")
        if not self._density.any():
            raise ImageError(f"{path}: the map is empty: all voxels are 0.")
        size = pixel_size if pixel_size > 0 else header_pixel_size
        if size is None:
            raise OptionError(f"{path}: the header has no pixel size; give --map_angpix.")
        self._pixel_size = size
        self._bfactor = bfactor
        self._transform = MapTransform(self._density, size)
        self.diameter = _DIAMETER_OF_BOX * min(smallest_field, n * size)
        self.description = f"map of {n} px at {size:g} Å/px"

    def projector(self, group: OpticsGroup) -> Projector:
        return MapProjector(
            self._transform,
            group.box_size,
            group.pixel_size,
            bfactor=self._bfactor,
            magnification=group.magnification,
        )

    def density(self, box: int, pixel_size: float) -> npt.NDArray[np.float32]:
        return resample_map(self._density, self._pixel_size, box, pixel_size, bfactor=self._bfactor)


def run_job(given: Mapping[str, Any]) -> int:
    """Simulate particles and write them.

    Parameters
    ----------
    given : mapping of str to value
        By option name (`SIMULATE_OPTIONS`); what is missing takes the value of the preset or the
        default.

    Returns
    -------
    exit_code : int
        0.

    Raises
    ------
    AurefineError
        If options, input or output can not be used.
    """
    full = complete_values(given)
    if full["map"] and "bfactor" not in given:
        full["bfactor"] = 0.0  # a map has its envelope already
    job = to_simulate_job(full)
    groups, phase_shifts = to_optics_groups(full)
    smallest_field = min(group.box_size * group.pixel_size for group in groups)
    if full["particle_diameter"] > smallest_field:
        raise OptionError(
            f"option --particle_diameter: found {full['particle_diameter']:g} Å, expected at most "
            f"the width of the images, {smallest_field:g} Å."
        )
    source = _make_source(job, smallest_field, full["bfactor"])
    settings = to_settings(full, source.diameter)
    folder = _make_folder(job.output)
    with RunLog(folder) as log:
        log.write(f" Simulating {settings.n_particles} particles from {source.description}")
        truth = draw_truth(settings, phase_shifts)
        simulator = ParticleSimulator(
            [source.projector(group) for group in groups], groups, settings, truth
        )
        with log.progress("particles", settings.n_particles) as advance:
            names = _write_stacks(folder, simulator, truth, groups, job.n_threads, advance)
        _write_maps(folder, job, source, simulator.amplitude, groups[0])
        particles, with_poses = particle_tables(truth, groups, names)
        full["particle_diameter"] = settings.particle_diameter
        write_text_atomic(
            folder / "simulation.json",
            settings_text(full, truth, simulator.amplitude, __version__),
        )
        write_particles(folder / "truth.star", with_poses)
        write_particles(folder / "particles.star", particles)
        log.write(
            [
                f" Particles: {folder / 'particles.star'} (true poses: truth.star)",
                f" Starting map: {folder / 'reference.mrc'} (true map: true_map.mrc)",
                f" Particle diameter: {settings.particle_diameter:.0f} Å",
            ]
        )
    return 0


def _make_source(job: SimulateJob, smallest_field: float, bfactor: float) -> _Source:
    if job.atoms:
        return _AtomSource(job.atoms, smallest_field, bfactor)
    return _MapSource(job.map, job.map_pixel_size, smallest_field, bfactor)


def _make_folder(output: str) -> Path:
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: can not make the output folder: {error.strerror or error}."
        ) from error
    return folder


def _write_stacks(
    folder: Path,
    simulator: ParticleSimulator,
    truth: Truth,
    groups: Sequence[OpticsGroup],
    n_threads: int,
    advance: Callable[[int], None],
) -> list[str]:
    """Write one stack for each box and pixel size; return the image name of each particle."""
    geometries = list(dict.fromkeys((group.box_size, group.pixel_size) for group in groups))
    names = [""] * len(truth)
    with contextlib.ExitStack() as stack:
        for number, (box, pixel_size) in enumerate(geometries, start=1):
            members = [
                index
                for index, group in enumerate(groups)
                if (group.box_size, group.pixel_size) == (box, pixel_size)
            ]
            particles = np.flatnonzero(np.isin(truth.optics_group, members))
            suffix = f"_{number}" if len(geometries) > 1 else ""
            path = folder / f"particles{suffix}.mrcs"
            writer = stack.enter_context(StackWriter(path, len(particles), box, pixel_size))
            for images in simulator.images(particles, n_threads=n_threads):
                writer.append(images)
                advance(len(images))
            for position, particle in enumerate(particles.tolist(), start=1):
                names[particle] = f"{position:06d}@{path.as_posix()}"
    return names


def _write_maps(
    folder: Path, job: SimulateJob, source: _Source, amplitude: float, group: OpticsGroup
) -> None:
    pixel_size = group.pixel_size
    density = source.density(group.box_size, pixel_size) * np.float32(amplitude)
    write_map(folder / "true_map.mrc", density, pixel_size)
    reference = lowpass_filter(density, pixel_size, job.reference_lowpass)
    reference *= np.float32(job.reference_scale)
    reference += np.float32(job.reference_offset)
    write_map(folder / "reference.mrc", reference, pixel_size)
