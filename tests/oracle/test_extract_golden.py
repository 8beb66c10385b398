"""Extraction against the files that RELION made from the same inputs with the same commands.

The cases are the lines of `commands.txt` in the golden folders; see their headers for versions.
"""

import shlex
from pathlib import Path

import numpy as np
import pytest

from aurefine.cli.extract import run
from aurefine.io.mrc import read_map
from aurefine.io.star import read_star

# folder, dialect of its files, relative RMS and STAR tolerance
# RELION 5.0.1 works in single precision: coordinates near 280 px carry 3e-5 of rounding
_FOLDERS = {
    "extract": ("3.1", 1e-5, 0.0),
    "legacy": ("3.1", 1e-5, 0.0),
    "extract_float16": ("5.0", 1e-3, 3e-5),
}
_INPUTS = {
    "extract": ("CtfFind", "MotionCorr", "Select"),
    "extract_float16": ("CtfFind", "MotionCorr", "Select"),
    "legacy": ("micrographs_ctf_3.0.star", "particles_3.0.star"),
}
_CASES = [
    *(("extract", f"job0{number}") for number in range(11, 20)),
    ("extract_float16", "job011"),
    ("legacy", "job021"),
]


@pytest.fixture(scope="module", params=_CASES, ids=lambda case: "-".join(case))
def case(request, shared_data, tmp_path_factory):
    """Run one command in a folder with links to the inputs; give (folder, made, golden)."""
    folder, job = request.param
    golden = shared_data / "golden" / folder
    work = tmp_path_factory.mktemp(f"{folder}_{job}")
    for name in _INPUTS[folder]:
        (work / name).symlink_to(golden / name)
    if folder == "legacy":
        (work / "MotionCorr").symlink_to(shared_data / "golden" / "extract" / "MotionCorr")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        assert run(_arguments(golden, folder, job)) == 0
    return folder, work / "Extract" / job, golden / "Extract" / job


def _arguments(golden: Path, folder: str, job: str) -> list[str]:
    lines = (golden / "commands.txt").read_text().splitlines()
    (line,) = (
        line for line in lines if line.startswith("relion_preprocess") and f"/{job}/" in line
    )
    arguments = [*shlex.split(line)[1:], "--dialect", _FOLDERS[folder][0]]
    # RELION crops off the centre when it rescales and windows; ours is an option
    return [*arguments, "--relion_window"] if job == "job018" else arguments


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("folder", _FOLDERS)
def test_every_command_of_the_golden_files_has_a_test(folder, shared_data):
    lines = (shared_data / "golden" / folder / "commands.txt").read_text().splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("relion_preprocess")]
    jobs = [Path(command[command.index("--part_dir") + 1]).name for command in commands]
    assert jobs == [job for tested, job in _CASES if tested == folder]


def test_the_same_files_are_written(case):
    folder, made, golden = case
    expected = _names(golden)
    if folder == "legacy":
        expected |= {"Movies/mic001.mrcs", "Movies/mic002.mrcs"}  # not kept, see commands.txt
    assert _names(made) == expected


def test_star_files_are_equal(case):
    folder, made, golden = case
    tolerance = _FOLDERS[folder][2]
    for name in sorted(_names(golden)):
        if not name.endswith(".star"):
            continue
        text, expected = (made / name).read_text(), (golden / name).read_text()
        if tolerance == 0:
            assert text == expected, name
            continue
        ours, theirs = read_star(made / name), read_star(golden / name)
        assert list(ours.blocks) == list(theirs.blocks)
        for block in theirs.blocks:
            _assert_tables_equal(ours.table(block), theirs.table(block), tolerance)


def _assert_tables_equal(ours, theirs, tolerance):
    assert list(ours.columns) == list(theirs.columns)
    assert len(ours) == len(theirs)
    for label in theirs:
        if theirs[label].dtype.kind == "f":
            np.testing.assert_allclose(ours[label], theirs[label], atol=tolerance, rtol=0)
        else:
            assert list(ours[label]) == list(theirs[label]), label


def test_images_are_equal(case):
    folder, made, golden = case
    if folder == "legacy":
        golden = golden.parents[2] / "extract" / "Extract" / "job013"
    for path in sorted(made.rglob("*.mrcs")):
        ours, our_size = read_map(path)
        theirs, their_size = read_map(golden / path.relative_to(made))
        assert ours.shape == theirs.shape
        assert our_size == pytest.approx(their_size, rel=1e-6)
        error = np.sqrt(np.mean((ours - theirs) ** 2) / np.mean(theirs**2))
        assert error < _FOLDERS[folder][1], path.name


def test_headers_are_equal_where_readers_use_them(case):
    folder, made, golden = case
    if folder == "legacy":
        golden = golden.parents[2] / "extract" / "Extract" / "job013"
    for path in sorted(made.rglob("*.mrcs")):
        ours, theirs = _header(path), _header(golden / path.relative_to(made))
        np.testing.assert_array_equal(ours["i"][:10], theirs["i"][:10])  # sizes, mode, sampling
        np.testing.assert_allclose(ours["f"][10:12], theirs["f"][10:12], rtol=1e-6)  # cell x, y
        np.testing.assert_array_equal(ours["i"][13:19], theirs["i"][13:19])  # angles, axes
        # minimum, maximum, mean and RMS; single precision of RELION 5 shows in the last digits
        np.testing.assert_allclose(ours["f"][19:22], theirs["f"][19:22], rtol=3e-6, atol=3e-6)
        np.testing.assert_allclose(ours["f"][54], theirs["f"][54], rtol=3e-6)
        np.testing.assert_array_equal(ours["i"][22:24], theirs["i"][22:24])  # kind, no extension
        assert ours["i"][52] == theirs["i"][52]  # "MAP "


def _header(path: Path) -> dict[str, np.ndarray]:
    raw = path.read_bytes()[:1024]
    return {"i": np.frombuffer(raw, "<i4"), "f": np.frombuffer(raw, "<f4")}


@pytest.mark.parametrize("job", ["job011", "job013", "job016"])
def test_the_dialect_of_relion_5_differs_in_names_and_version_only(job, shared_data, tmp_path):
    golden = shared_data / "golden" / "extract"
    for name in _INPUTS["extract"]:
        (tmp_path / name).symlink_to(golden / name)
    arguments = _arguments(golden, "extract", job)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert run([*arguments, "--dialect", "5.0"]) == 0
    text = (tmp_path / "Extract" / job / "particles.star").read_text()
    assert text.startswith("\n# version 50001\n")
    assert f" 00000001@Extract/{job}/Movies/mic001.mrcs " in text
    optics = read_star(tmp_path / "Extract" / job / "particles.star").table("optics")
    assert list(optics["rlnCtfDataAreCtfPremultiplied"]) == [0] * len(optics)
