"""Bad input for the commands around the refinement: one clear message, and nothing else.

`test_extract_cli.py` has the cases that belong to extraction alone.
"""

import os
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurefine.cli.main import run_command
from aurefine.io.mrc import read_map, write_map
from aurefine.io.star import read_star, write_star

BOX = 16
RESCALE = ("--angpix", "2", "--rescale_angpix", "3", "--new_box", "12")
COMMANDS = {
    "image-handler": ("--i", "a_half1.mrc", "--o", "out.mrc", *RESCALE),
    "image-handler with two": ("--i", "good.mrc", "--o", "out.mrc", "--multiply", "a_half1.mrc"),
    "mask": ("--i", "a_half1.mrc", "--o", "out.mrc", "--lowpass", "8", "--ini_threshold", "0.1"),
    "postprocess": ("--i", "a_half1.mrc", "--mask", "mask.mrc", "--o", "out"),
    "postprocess with mask": ("--i", "b_half1.mrc", "--mask", "a_half1.mrc", "--o", "out"),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two half maps and a mask, images with their STAR file, and a micrograph with particles."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(5)
    axis = np.arange(BOX) - BOX // 2
    square = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    blob = np.exp(-square / 18.0) + 0.2 * np.exp(-((np.sqrt(square) - 4) ** 2))
    for name in ("a", "b"):
        for half in (1, 2):
            noisy = blob + rng.normal(0, 0.02, blob.shape)
            write_map(folder / f"{name}_half{half}.mrc", noisy.astype(np.float32), 2.0)
    write_map(folder / "good.mrc", blob.astype(np.float32), 2.0)
    write_map(folder / "mask.mrc", (square < 36).astype(np.float32), 2.0)
    images = rng.normal(size=(5, BOX, BOX)).astype(np.float32)
    write_map(folder / "stack.mrcs", images, 2.0)
    optics = {
        "rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1], "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1],
    }  # fmt: skip
    write_map(folder / "mic.mrc", rng.normal(10, 2, (60, 70)).astype(np.float32), 1.0)
    write_star(
        folder / "micrographs.star",
        {
            "optics": pd.DataFrame({**optics, "rlnMicrographPixelSize": [1.0]}),
            "micrographs": pd.DataFrame({"rlnMicrographName": ["mic.mrc"], "rlnOpticsGroup": [1]}),
        },
    )
    particles = pd.DataFrame(
        {
            "rlnImageName": [f"{i}@stack.mrcs" for i in range(1, 6)],
            "rlnMicrographName": "mic.mrc",
            "rlnCoordinateX": rng.uniform(5, 60, 5),
            "rlnCoordinateY": rng.uniform(5, 55, 5),
            "rlnOriginXAngst": rng.uniform(-8, 8, 5),
            "rlnOriginYAngst": rng.uniform(-8, 8, 5),
            "rlnOpticsGroup": 1,
        }
    )
    write_star(
        folder / "particles.star",
        {
            "optics": pd.DataFrame({**optics, "rlnImagePixelSize": [2.0], "rlnImageSize": [BOX]}),
            "particles": particles,
        },
    )
    return _Files({path.name: path.read_bytes() for path in folder.iterdir()})


class _Files(dict):
    """Names and contents, with a short representation in reports."""

    def __repr__(self):
        return f"files {', '.join(self)}"


@pytest.fixture
def project(files, tmp_path, monkeypatch):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(name):
    return run_command([name.split()[0], *COMMANDS[name]])


def _extract(*options):
    return run_command(
        ["extract", "--i", "micrographs.star", "--reextract_data_star", "particles.star",
         "--recenter", "--extract_size", "16", "--part_dir", "Extract", "--part_star",
         "Extract/particles.star", *options]
    )  # fmt: skip


def _handle_star():
    return run_command(["image-handler", "--i", "particles.star", "--o", "new.mrcs", *RESCALE])


def _message(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if "aurefine: error:" in line]
    assert len(lines) == 1
    assert "unexpected" not in lines[0]
    return lines[0]


# --------------------------------------------------------------------------------------- maps


def _spoil(value):
    def change(path):
        data, pixel_size = read_map(path)
        data[3, 4, 5] = value
        write_map(path, data, pixel_size)

    return change


def _box(n):
    return lambda path: write_map(path, np.random.default_rng(1).random((n, n, n)), 2.0)


DAMAGE = {
    "missing": (Path.unlink, "does not exist"),
    "truncated": (lambda path: os.truncate(path, 3000), "truncated"),
    "empty": (lambda path: path.write_bytes(b""), "not an MRC file"),
    "text": (lambda path: path.write_text("not a map\n" * 200), "MRC file"),
    "NaN": (_spoil(np.nan), "not finite"),
    "infinite": (_spoil(np.inf), "not finite"),
}


@pytest.mark.parametrize(
    ("command", "damage"),
    # arithmetic passes pixels on that are not finite, so that --remove_nan can follow
    [
        (command, damage)
        for command in COMMANDS
        for damage in DAMAGE
        if command != "image-handler with two" or damage not in ("NaN", "infinite")
    ],
)
def test_a_damaged_map_is_named(project, capsys, command, damage):
    change, text = DAMAGE[damage]
    change(project / "a_half1.mrc")
    assert _run(command) == 1
    message = _message(capsys)
    assert "a_half1.mrc" in message
    assert text in message
    assert not (project / "out.mrc").exists()


@pytest.mark.parametrize(
    "command", ["image-handler with two", "postprocess", "postprocess with mask"]
)
def test_maps_of_different_boxes_are_refused(project, capsys, command):
    _box(12)(project / "a_half1.mrc")
    assert _run(command) == 1
    assert "12" in _message(capsys)


@pytest.mark.parametrize("command", ["image-handler", "postprocess"])
def test_a_map_that_is_no_cube_is_refused(project, capsys, command):
    for half in (1, 2):
        write_map(f"a_half{half}.mrc", np.random.default_rng(1).random((16, 16, 12)), 2.0)
    assert _run(command) == 1
    assert "cubic" in _message(capsys)


# ---------------------------------------------------------------------------------- STAR files


def _replace(old, new):
    def change(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


STAR_DAMAGE = {
    "missing column": (_replace("_rlnImageName", "_rlnOtherName"), "rlnImageName"),
    "wrong count": (_replace("3@stack.mrcs ", "3@stack.mrcs 1.0 "), "values"),
    "duplicate label": (_replace("_rlnCoordinateY", "_rlnCoordinateX"), "stands twice"),
    "missing": (Path.unlink, "does not exist"),
    "no rows": (lambda path: path.write_text("data_particles\n\nloop_\n_rlnImageName #1\n"), ""),
    "empty": (lambda path: path.write_bytes(b""), ""),
    "an image": (lambda path: path.write_bytes(Path("stack.mrcs").read_bytes()), ""),
}


@pytest.mark.parametrize(
    ("run", "damage"),
    # extraction does not need the names of the images
    [(_handle_star, damage) for damage in STAR_DAMAGE]
    + [(_extract, damage) for damage in STAR_DAMAGE if damage != "missing column"],
)
def test_a_damaged_star_file_is_named(project, capsys, run, damage):
    change, text = STAR_DAMAGE[damage]
    change(project / "particles.star")
    assert run() == 1
    message = _message(capsys)
    assert "particles.star" in message
    assert text in message


@pytest.mark.parametrize("run", [_handle_star, _extract])
def test_windows_line_ends_and_a_missing_last_one_are_read(project, run):
    text = (project / "particles.star").read_bytes().rstrip().replace(b"\n", b"\r\n")
    (project / "particles.star").write_bytes(text)
    assert run() == 0


def test_an_unknown_optics_group_is_named(project, capsys):
    star = read_star("particles.star")
    particles = star.table("particles").assign(rlnOpticsGroup=[1, 1, 7, 1, 1])
    write_star("particles.star", {"optics": star.table("optics"), "particles": particles})
    assert _extract() == 1
    assert "optics group 7 is not defined" in _message(capsys)


def test_an_image_that_does_not_exist_is_named(project, capsys):
    _replace("3@stack.mrcs", "9@stack.mrcs")(project / "particles.star")
    assert _handle_star() == 1
    message = _message(capsys)
    assert "9" in message
    assert "stack.mrcs" in message


# ------------------------------------------------------------------------------------- fuzzing


def _mutate(data, seed):
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(min(len(data), rng.choice([120, 1100, 10**6])))
        stop = start + rng.choice([0, 1, 4, 80])
        piece = rng.choice([b"", b"\n", b" ", b"_", b"nan", b"-1", b"\0\0", rng.randbytes(4)])
        data = data[:start] + piece + data[stop:]
    return data


FUZZED = [
    ("a_half1.mrc", lambda: _run("image-handler")),
    ("a_half1.mrc", lambda: _run("mask")),
    ("a_half1.mrc", lambda: _run("postprocess")),
    ("mask.mrc", lambda: _run("postprocess")),
    ("stack.mrcs", _handle_star),
    ("particles.star", _handle_star),
    ("particles.star", _extract),
    ("micrographs.star", _extract),
    ("mic.mrc", _extract),
]


@pytest.mark.parametrize(("name", "run"), FUZZED)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_damaged_input_is_read_or_explained(files, project, capsys, name, run, seed):
    for other, data in files.items():
        (project / other).write_bytes(data)
    (project / name).write_bytes(_mutate(files[name], seed))
    capsys.readouterr()
    if run() != 0:
        _message(capsys)
