"""*Import*: micrographs, particles, coordinates and half maps."""

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.errors import AurefineError
from aurefine.io import read_micrographs, read_particles
from aurefine.io.mrc import write_map
from aurefine.jobs.import_job import run_import

OUT = {"output_folder": "Import/job001/"}
HEAD = "_rlnVoltage #1\n_rlnSphericalAberration #2\n_rlnAmplitudeContrast #3\n_rlnOpticsGroup #4\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working directory with two micrographs and a particle file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Mic").mkdir()
    for name in ("b", "a"):
        write_map(tmp_path / "Mic" / f"{name}.mrc", np.zeros((1, 8, 8), np.float32), 1.0)
        (tmp_path / "Mic" / f"{name}_pick.star").write_text("data_\n")
    return tmp_path


def write_particles(path, n_groups):
    rows = "".join(f"300 2.7 0.1 {g} og{g} 2.0 8 2\n" for g in range(1, n_groups + 1))
    path.write_text(
        f"# version 30001\n\ndata_optics\n\nloop_\n{HEAD}_rlnOpticsGroupName #5\n"
        f"_rlnImagePixelSize #6\n_rlnImageSize #7\n_rlnImageDimensionality #8\n{rows}\n"
        "data_particles\n\nloop_\n_rlnImageName #1\n_rlnOpticsGroup #2\n1@a.mrcs 1\n"
    )


def test_micrographs_get_an_optics_group(folder):
    values = {
        "do_micrographs": True, "input": "Mic/*.mrc", "output_name": "micrographs.star",
        "pixel_size": 0.885, "voltage": 200.0, "optics_group_name": "mine", "mtf": "m.star",
    }  # fmt: skip
    assert run_import({**OUT, **values}) == 0
    table = read_micrographs("Import/job001/micrographs.star")
    assert list(table.micrographs["rlnMicrographName"]) == ["Mic/a.mrc", "Mic/b.mrc"]
    optics = table.optics.iloc[0]
    assert (optics["rlnVoltage"], optics["rlnMicrographPixelSize"]) == (200.0, 0.885)
    assert (optics["rlnOpticsGroupName"], optics["rlnMtfFileName"]) == ("mine", "m.star")


def test_group_of_particles_is_renamed(folder):
    write_particles(folder / "p.star", 1)
    values = {"do_particles": True, "input": "p.star", "particles_optics_group": "new"}
    assert run_import({**OUT, **values}) == 0
    table = read_particles("Import/job001/p.star")
    assert list(table.optics["rlnOpticsGroupName"]) == ["new"]


def test_several_groups_are_not_renamed(folder):
    write_particles(folder / "p.star", 2)
    values = {"do_particles": True, "input": "p.star", "particles_optics_group": "new"}
    with pytest.raises(AurefineError, match="2 optics groups"):
        run_import({**OUT, **values})


def test_coordinates_are_copied_with_what_tells_where_they_are(folder):
    values = {"do_coordinates": True, "input": "Mic/*_pick.star"}
    values["output_name"] = "coords_suffix_pick.star"
    assert run_import({**OUT, **values}) == 0
    assert (folder / "Import/job001/Mic/a_pick.star").exists()
    assert (folder / "Import/job001/coords_suffix_pick.star").exists()


def test_half_map_brings_its_partner(folder):
    for half in (1, 2):
        write_map(folder / f"run_half{half}_unfil.mrc", np.zeros((8, 8, 8), np.float32), 1.0)
    assert run_import({**OUT, "do_halfmaps": True, "input": "run_half2_unfil.mrc"}) == 0
    assert (folder / "Import/job001/run_half1_unfil.mrc").exists()
    assert (folder / "Import/job001/run_half2_unfil.mrc").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "say what is imported"),
        ({"do_other": True, "do_particles": True}, "say what is imported"),
        ({"do_other": True, "input": "absent.mrc"}, "absent.mrc"),
        ({"do_micrographs": True, "input": "../*.mrc"}, "inside the project"),
        ({"do_micrographs": True, "input": "/etc/*"}, "inside the project"),
        ({"do_micrographs": True, "input": "Mic/*.tif"}, "no file has a name like"),
        ({"do_halfmaps": True, "input": "Mic/a.mrc"}, "half1 or half2"),
        ({"do_other": True, "input": "bad.mrc"}, "bad.mrc"),
        ({"do_other": True, "input": "bad.star"}, "bad.star"),
        ({"do_micrographs": True, "input": "movie.mrc"}, "Movies are out of scope"),
    ],
)
def test_what_can_not_be_imported_is_named(folder, values, message):
    (folder / "bad.mrc").write_bytes(b"short")
    (folder / "bad.star").write_bytes(b"\x00\x01")
    write_map(folder / "movie.mrc", np.zeros((3, 8, 8), np.float32), 1.0)
    with pytest.raises(AurefineError, match=message):
        run_import({"input": "Mic/a.mrc", **OUT, **values})


def test_command_answers_help(capsys):
    assert run_command(["import"]) == 0
    assert "--do_micrographs" in capsys.readouterr().out
