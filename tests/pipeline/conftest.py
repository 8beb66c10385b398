"""A tiny project for runs of seconds: 80 particles of 32 px, D2."""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurefine.cli.main import run_command

STANDARD = shlex.split(
    "--firstiter_cc --ini_high 50 --ctf --particle_diameter 190 --flatten_solvent --zero_mask "
    "--sym D2 --low_resol_join_halves 40 --norm --scale --healpix_order 1 --offset_range 3 "
    "--offset_step 2 --random_seed 1"
)


@contextlib.contextmanager
def working_directory(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project with particles.star, particles.mrcs and reference.mrc; never changed."""
    folder = tmp_path_factory.mktemp("project")
    with working_directory(folder):
        code = run_command(
            shlex.split(
                "simulate --preset demo --o . --n_particles 80 --n_micrographs 4 --box 32 "
                "--angpix 7.08 --snr 0.5 --ini_high 40 --random_seed 3"
            )
        )
    assert code == 0
    return folder


@pytest.fixture(scope="session")
def standard_options() -> list[str]:
    """Options of all runs here, apart from the names of files."""
    return STANDARD


@pytest.fixture
def refine_and_draw(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `aurefine refine` in the project with the standard options and more."""
    monkeypatch.chdir(project)

    def run(output: object, *options: str, standard: bool = True) -> int:
        inputs = ["--i", "particles.star", "--ref", "reference.mrc", *STANDARD]
        given = [option for option in inputs if standard]
        return run_command(["refine", *given, "--o", str(output), *options])

    return run


@pytest.fixture(scope="session")
def without_figures() -> Callable[[pytest.MonkeyPatch], None]:
    """Leave out the figures at the end of runs, which would take most of the time of the tests."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aurefine.jobs.refine3d.write_figures", lambda *arguments: None)

    return patch


@pytest.fixture
def refine(
    refine_and_draw: Callable[..., int],
    without_figures: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., int]:
    """Run `aurefine refine` like `refine_and_draw`, without its figures."""
    without_figures(monkeypatch)
    return refine_and_draw


@pytest.fixture(scope="session")
def finished(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a converged run with two threads and job control."""
    folder = tmp_path_factory.mktemp("Refine3D") / "job001"
    folder.mkdir()
    with working_directory(project):
        code = run_command(
            [
                "refine", "--i", "particles.star", "--ref", "reference.mrc", *STANDARD,
                "--o", f"{folder}/run", "--pipeline_control", f"{folder}/", "--j", "2",
            ]
        )  # fmt: skip
    assert code == 0
    return folder
