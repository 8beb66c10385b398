"""An iteration that is not finished: what its batches have given so far."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from aurefine.refine.batch_result import BatchResult
from aurefine.refine.iteration import IterationSettings
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import RefinementState
from aurefine.refine.work import WorkList

__all__ = ["PartialIteration", "iteration_key", "sums_mark"]


@dataclass(frozen=True, slots=True)
class PartialIteration:
    """Everything that the finished batches of an iteration have given.

    Sums are exact and do not depend on the order of batches, so that an iteration that goes on
    from them ends with the same bits.
    """

    key: str  # of the iteration that they belong to
    results: Mapping[tuple[int, int], BatchResult]  # by half and number of the batch
    sums: Mapping[int, str]  # names of files by half, as far as they were begun

    @property
    def mark(self) -> str:
        """What the files of the sums must bear."""
        return sums_mark(self.key, self.results)


def sums_mark(key: str, results: Mapping[tuple[int, int], BatchResult]) -> str:
    """Return a short digest of an iteration and of the batches that sums are made of."""
    return hashlib.sha256(f"{key} {sorted(results)}".encode()).hexdigest()[:12]


def iteration_key(
    settings: IterationSettings, state: RefinementState, work: WorkList, options: RefineOptions
) -> str:
    """Return a digest of everything that the results of an iteration depend on.

    Parameters
    ----------
    settings : IterationSettings
    state : RefinementState
        Before the iteration.
    work : WorkList
        Batches of the iteration.
    options : RefineOptions
    """
    digest = hashlib.sha256()
    same = replace(options, n_threads=1, auto_iter_max=0, check_normalisation=True)
    digest.update(repr((same, settings.controller, settings.sampling)).encode())
    other = (settings.coarse_step, settings.uses_correlation, settings.random_seed)
    digest.update(repr(other).encode())
    _add_arrays(digest, state.poses)
    for model in state.models:
        _add_arrays(digest, model)
    for batches in work.batches.values():
        for batch in batches:
            place = (batch.half, batch.number, batch.geometry, batch.is_known)
            digest.update(repr(place).encode())
            digest.update(np.ascontiguousarray(batch.rows).data)
    return digest.hexdigest()


def _add_arrays(digest: hashlib._Hash, record: object) -> None:
    """Add the arrays and numbers of a record."""
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(repr(value).encode())
