"""Names of the files of a refinement (spec: files, 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PARTIAL", "FileNames"]

PARTIAL = "_partial"  # follows the stem in names of what belongs to an unfinished iteration


@dataclass(frozen=True, slots=True)
class FileNames:
    """The files of one iteration, or of the converged end.

    `iteration` is None for the end, whose names have no number.
    """

    root: str
    iteration: int | None = None

    @property
    def stem(self) -> str:
        """Beginning of all names: ``run_it003`` or ``run``."""
        return self.root if self.iteration is None else f"{self.root}_it{self.iteration:03d}"

    @property
    def data(self) -> str:
        """Particle table."""
        return f"{self.stem}_data.star"

    @property
    def sampling(self) -> str:
        """Angular and translational sampling."""
        return f"{self.stem}_sampling.star"

    @property
    def optimiser(self) -> str:
        """Settings and state of the automation; written last."""
        return f"{self.stem}_optimiser.star"

    @property
    def partial(self) -> str:
        """What an unfinished iteration has so far; only until it is complete."""
        return f"{self.stem}{PARTIAL}.npz"

    def partial_sums(self, half: int, mark: str) -> str:
        """Return the name of the sums of a half that belong to an unfinished iteration."""
        return f"{self.stem}{PARTIAL}_half{half}_{mark}.npz"

    def model(self, half: int | None) -> str:
        """Return the name of the parameters of a half (1 or 2), or of the joined model (None)."""
        return f"{self._of(half)}_model.star"

    def map(self, half: int | None) -> str:
        """Return the name of the filtered map."""
        return f"{self._of(half)}_class001.mrc"

    def unfiltered_map(self, half: int) -> str:
        """Return the name of the unregularised, unmasked map of a half."""
        return f"{self._of(half)}_class001_unfil.mrc"

    def orientations(self, half: int | None) -> str:
        """Return the name of the picture of the orientation distribution."""
        return f"{self._of(half)}_class001_angdist.bild"

    def results(self, *, has_unfiltered: bool) -> list[str]:
        """Return the names of all files but the optimiser file."""
        halves = (None,) if self.iteration is None else (1, 2)
        per_half = (self.model, self.map, self.orientations)
        names = [self.data, self.sampling]
        names += [name(half) for half in halves for name in per_half]
        return names + [self.unfiltered_map(half) for half in (1, 2) if has_unfiltered]

    def _of(self, half: int | None) -> str:
        return self.stem if half is None else f"{self.stem}_half{half}"
