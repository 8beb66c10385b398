"""RELION reads what aurefine writes, and finds the same numbers."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from aurefine.io.mrc import StackWriter, read_map, write_map
from aurefine.io.particles import ParticleTable, read_particles, write_particles
from aurefine.io.star import read_star

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_star_handler") is None, reason="RELION is missing"),
]


def relion(folder, *command):
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def through_star_handler(folder, table):
    write_particles(folder / "in.star", table, version=30001)
    select = ["--select", "rlnOpticsGroup", "--minval", "0", "--maxval", "999"]
    relion(folder, "relion_star_handler", "--i", "in.star", "--o", "out.star", *select)
    return read_star(folder / "out.star")


def test_particle_file_comes_back_unchanged(shared_data, tmp_path):
    table = read_particles(shared_data / "d2-small/particles.star")
    through_star_handler(tmp_path, table)
    assert (tmp_path / "out.star").read_text() == (tmp_path / "in.star").read_text()


def test_difficult_values_come_back(shared_data, tmp_path):
    table = read_particles(shared_data / "d2-small/particles.star")
    texts = ["_x", "loop_", "data_a", ";", "", "a b", 'a "b', "it's", '"', "' x", "x#y"]
    texts += ['a" b', "a' b", 'say "hi" now']
    values = 10.0 ** np.linspace(-98, 98, len(texts)) * np.resize([1, -1], len(texts))
    rows = table.particles[: len(texts)].assign(
        labText=pd.Series(texts, dtype=object), rlnAngleRot=values
    )
    back = through_star_handler(tmp_path, ParticleTable(table.optics, rows, "")).table("particles")
    assert back["labText"].tolist() == texts
    written = read_star(tmp_path / "in.star").table("particles")
    assert (back["rlnAngleRot"] == written["rlnAngleRot"]).all()


def test_text_that_starts_with_a_hash_can_be_read(shared_data, tmp_path):
    table = read_particles(shared_data / "d2-small/particles.star")
    rows = table.particles[:3].assign(labText=pd.Series(["#hash", "# a", "x"], dtype=object))
    write_particles(tmp_path / "in.star", ParticleTable(table.optics, rows, ""), version=30001)
    select = ["--select", "rlnOpticsGroup", "--minval", "0", "--maxval", "999"]
    relion(tmp_path, "relion_star_handler", "--i", "in.star", "--o", "out.star", *select)
    # RELION itself writes the first one without quotes, which nobody can read
    assert (tmp_path / "out.star").read_text().count(" #hash ") == 1
    assert '"# a"' in (tmp_path / "out.star").read_text()


def test_map_is_read_with_its_pixel_size_and_statistics(tmp_path):
    volume = np.random.default_rng(2).normal(size=(16, 16, 16)).astype(np.float32)
    write_map(tmp_path / "a.mrc", volume, 1.25)
    text = relion(tmp_path, "relion_image_handler", "--i", "a.mrc", "--stats")
    assert re.search(r"16 x 16 x 16", text.replace("(x,y,z,n)= ", ""))
    assert f"{volume.mean():.3f}" in text or f"{volume.mean():.4g}" in text
    assert "1.25" in text


def test_stack_comes_back_unchanged(tmp_path):
    images = np.random.default_rng(2).normal(size=(5, 16, 16)).astype(np.float32)
    with StackWriter(tmp_path / "a.mrcs", 5, 16, 1.5) as writer:
        writer.append(images)
    command = ["relion_image_handler", "--i", "a.mrcs", "--o", "b.mrcs", "--add_constant", "0"]
    relion(tmp_path, *command)
    back, pixel_size = read_map(tmp_path / "b.mrcs")
    assert (back == images).all()
    assert pixel_size == 1.5
