"""The half sets that this process works on: alignment, sums and maps (spec 3, 4)."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.fourier import solvent_corrected_fsc
from aurefine.parallel.heap import return_free_memory
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.accuracy import Accuracy, estimate_accuracy
from aurefine.refine.crew import HalfFsc, NewModels
from aurefine.refine.expectation import HalfExpectation
from aurefine.refine.gold_standard import gold_standard_fsc, unpadded_average
from aurefine.refine.half_model import updated_model
from aurefine.refine.half_volume import give_back
from aurefine.refine.iteration import IterationSettings, RefinementInput, iteration_plan
from aurefine.refine.links import SAME_PROCESS, Links
from aurefine.refine.maximisation import (
    low_resolution,
    reconstruct,
    replace_low_resolution,
    symmetrise,
)
from aurefine.refine.memory import sums_wait_in_file
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import Projector, build_projector
from aurefine.refine.state import HalfModel, Poses, StageTimes
from aurefine.refine.stored_sums import SumsSoFar
from aurefine.refine.sums import HalfSums, add_sums
from aurefine.refine.work import WorkSource

__all__ = ["HalfSets", "reset_direction_prior"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class HalfSets:
    """One or both half sets (a `Crew` if both)."""

    def __init__(
        self,
        data: RefinementInput,
        pool: WorkerPool,
        halves: tuple[int, ...] = (1, 2),
        links: Links = SAME_PROCESS,
    ) -> None:
        """Start without models.

        Parameters
        ----------
        halves : tuple of int
            Which ones are worked on here.
        links : Links
            The way to the other half.
        """
        self.halves = halves
        self.sums: dict[int, HalfSums] = {}
        self.steps: dict[int, HalfExpectation] = {}
        self._data, self._pool, self._links = data, pool, links
        self._stopwatch = Stopwatch()
        self._projector: tuple[int, Projector] | None = None
        self._unfiltered: dict[int, Float32] = {}
        self._restored: dict[int, SumsSoFar] = {}

    def begin(
        self, settings: IterationSettings, poses: Poses, models: Mapping[int, HalfModel]
    ) -> None:
        """Take over poses and models, and prepare the first reference."""
        self._stopwatch = Stopwatch()
        self._settings, self._poses, self._models = settings, poses, dict(models)
        self._project(self.halves[0])

    def estimate_accuracy(self, settings: IterationSettings, rows: IntArray) -> Accuracy:
        """Estimate the accuracy of poses from particles of half 1."""
        with self._stopwatch("accuracy"):
            return estimate_accuracy(
                rows,
                self._data.particles,
                self._poses,
                self._models[1],
                self._project(1),
                iteration_plan(settings, self._data),
                settings.random_seed,
                self._pool,
            )

    def restore(self, names: Mapping[int, str], mark: str) -> None:
        """Take over what is stored of the sums of the halves that are here."""
        files = self._data.sums_files
        assert files is not None
        self._restored = {}
        found = {}
        for half in self.halves:
            if half in names:
                sums = files.read(names[half], mark)
                found[half] = replace(sums, words=self._kept(sums.words))
        self._restored = found

    def store(self, mark: str) -> Mapping[int, str]:
        """Store the sums of the halves that were begun, between two batches."""
        files, iteration = self._data.sums_files, self._settings.controller.iteration
        assert files is not None
        sums = self._restored | {half: step.so_far() for half, step in self.steps.items()}
        return {half: files.write(iteration, half, mark, own) for half, own in sums.items()}

    def align(self, settings: IterationSettings, work: WorkSource) -> None:
        """Align batches of the halves that are here until there are no more."""
        self._settings = settings
        self._plan = iteration_plan(settings, self._data, with_ramps=True)
        for half in self.halves:
            self._models[half] = reset_direction_prior(
                self._models[half], len(settings.direction_rot)
            )
            step = HalfExpectation(
                half,
                self._data.particles,
                self._poses,
                self._models[half],
                self._project(half),
                self._plan,
                settings.random_seed,
                self._pool,
                self._stopwatch,
            )
            self.steps[half] = step
            if half in self._restored:
                step.restore(self._restored.pop(half))
            step.run(work)
            step.release()
            self._projector = None
            exact = step.sums.exact
            if exact is not None:
                exact.words = self._kept(exact.words)

    def _kept(self, volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Let a large volume or map wait in a file while the other half is worked on."""
        keep, settings = self._data.keep_in_file, self._settings
        if keep is None or len(self.halves) == 1:
            return volume
        if not sums_wait_in_file(settings.box_size, self._data.options.padding, settings.r_max):
            return volume
        return keep(volume)

    def complete_sums(self) -> None:
        """Symmetrise the sums, and make the unregularised maps of the last iteration."""
        with self._stopwatch("symmetrising"):
            for half in self.halves:
                sums = self.sums[half] = self.steps.pop(half).total()
                before = sums.volume
                symmetrise(sums, self._plan.group, self._pool)
                if sums.volume is not before:
                    del before
                    sums.volume = self._kept(sums.volume)
                give_back(sums.volume)
        if self._settings.controller.has_converged:
            self._unfiltered = self._unregularised_maps()

    def join_halves(self, shell: int) -> None:
        """Replace the sums up to a shell by the average of both halves."""
        with self._stopwatch("fsc"):
            own = {half: low_resolution(sums, shell) for half, sums in self.sums.items()}
            for half, other in self._links.swap(own).items():
                mean = np.divide(own[half] + other, 2, dtype=np.float32)
                replace_low_resolution(self.sums[half], shell, mean)

    def measure_fsc(self) -> HalfFsc | None:
        """Compare the halves, where half 1 is; None elsewhere."""
        settings, mask = self._settings, self._data.solvent_mask
        if self._data.options.solvent_correct_fsc and mask is not None:
            return self._masked_fsc(mask)
        with self._stopwatch("fsc"):
            own = {}
            for half, sums in self.sums.items():
                own[half] = unpadded_average(sums, settings.r_max, self._pool)
                give_back(sums.volume)
            averages = self._links.meet(own)
            if averages is None:
                return None
            n_shells = settings.box_size // 2 + 1
            return HalfFsc(gold_standard_fsc(averages, settings.r_max, n_shells, self._pool))

    def reconstruct(self, fsc: Float, orientability: Float, n_particles: IntArray) -> NewModels:
        """Make the maps and all other parameters of the halves that are here."""
        is_joined = self._settings.controller.has_converged
        if is_joined:
            add_sums(self.sums, self._links.add)
            self.sums.pop(2, None)
            for sums in self.sums.values():
                give_back(sums.volume)
        found = {}
        for half, sums in self.sums.items():
            model = self._models[half]
            found[half] = updated_model(
                model,
                sums,
                fsc,
                orientability,
                n_particles if is_joined else model.group_n_particles,
                self._settings,
                self._data,
                self._pool,
                self._stopwatch,
            )
            give_back(sums.volume)
        return NewModels(found, self._unfiltered)

    def finish(self) -> StageTimes:
        """Forget the sums, and tell where the time went."""
        self.sums, self._unfiltered, self._models = {}, {}, {}
        return_free_memory()
        self._stopwatch.finish()
        return StageTimes(
            seconds=self._stopwatch.seconds,
            cpu_seconds=self._stopwatch.cpu_seconds,
            peak_memory=_peak_memory(),
        )

    def _masked_fsc(self, mask: Float32) -> HalfFsc | None:
        """Solvent-corrected FSC of unregularised maps, which are kept."""
        settings = self._settings
        maps = self._unregularised_maps()
        if not settings.controller.has_converged:
            self._unfiltered = maps
        with self._stopwatch("fsc"):
            both = self._links.meet(maps)
            if both is None:
                return None
            rng = np.random.Generator(
                np.random.Philox(key=[settings.random_seed, settings.controller.iteration])
            )
            fsc, random_shell = solvent_corrected_fsc(
                *both, mask, rng, settings.controller.current_size
            )
        return HalfFsc(fsc, random_shell)

    def _unregularised_maps(self) -> dict[int, Float32]:
        settings = self._settings
        nothing = np.zeros(settings.box_size // 2 + 1)
        maps = {}
        with self._stopwatch("reconstruction"):
            for half, sums in self.sums.items():
                new_map = reconstruct(
                    sums,
                    settings.box_size,
                    settings.r_max,
                    nothing,
                    self._data.options,
                    self._pool,
                )
                maps[half] = self._kept(new_map)
                give_back(sums.volume)
        return maps

    def _project(self, half: int) -> Projector:
        """Return the padded transform of a reference; only one is in memory at a time."""
        if self._projector is not None and self._projector[0] == half:
            return self._projector[1]
        self._projector = None
        settings, options = self._settings, self._data.options
        limit = options.strict_lowres_exp
        extent = settings.box_size * settings.pixel_size
        lowest = int(np.floor(extent / limit + 0.5)) if limit > 0 else -1
        with self._stopwatch("projectors"):
            projector = build_projector(
                self._models[half].map,
                settings.r_max,
                options.padding,
                self._pool,
                lowest_shell=lowest,
            )
        self._projector = half, projector
        return projector


def reset_direction_prior(model: HalfModel, n_directions: int) -> HalfModel:
    """Make the prior on directions uniform if the directions are not the same any more."""
    if len(model.direction_prior) == n_directions:
        return model
    return replace(model, direction_prior=np.full(n_directions, 1 / n_directions))


def _peak_memory() -> float:
    """Peak resident memory of this process [GiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
