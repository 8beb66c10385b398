"""A whole workflow by the command line alone: from micrographs to a sharpened map and report."""

import re
from pathlib import Path

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.io.mrc import read_map
from aurefine.project import open_project


def job(*words):
    assert run_command(["job", *words]) == 0


def imported(path, node_type):
    job(
        "new", "import", "--wait", "--set", "do_raw=No", "do_other=Yes", f"fn_in_other={path}",
        f"node_type={node_type}",
    )  # fmt: skip


def prepare(shared_data, folder, monkeypatch, box):
    """Make a project with imported, re-extracted particles and a rescaled map; 360 px -> box."""
    for name in ("MotionCorr", "CtfFind", "Select", "Class3D"):
        (folder / name).symlink_to(shared_data / "d2-micrographs" / name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    assert run_command(["project", "init"]) == 0
    imported("CtfFind/job003/micrographs_ctf.star", "Micrographs STAR file (.star)")
    imported("Select/class3d_first_exhaustive/particles.star", "Particles STAR file (.star)")
    imported("Class3D/first_exhaustive/run_it025_class001.mrc", "3D reference (.mrc)")
    job(
        "new", "extract", "--wait", "--alias", "best3dclass_bigbox", "--set",
        "star_mics=Import/job001/micrographs_ctf.star", "do_reextract=Yes",
        "fndata_reextract=Import/job002/particles.star", "do_recenter=Yes", "extract_size=360",
        "do_rescale=Yes", f"rescale={box}",
    )  # fmt: skip
    job(
        "new", "rescale", "--wait", "--set", "in_3dref=Import/job003/run_it025_class001.mrc",
        f"rescale_angpix={0.885 * 360 / box}", f"new_box={box}",
    )  # fmt: skip


def refine(*more):
    job(
        "new", "refine3d", "--wait", "--alias", "first3dref", "--set",
        "fn_img=Extract/best3dclass_bigbox/particles.star", "fn_ref=External/job005/rescaled.mrc",
        "sym_name=D2", "ini_high=50", "ref_correct_greyscale=No", "particle_diameter=190",
        "nr_threads=2", "random_seed=1", *more,
    )  # fmt: skip


def finish(*more):
    """Mask, sharpen and report; return the resolution."""
    job(
        "new", "maskcreate", "--set", "fn_in=Refine3D/first3dref/run_class001.mrc",
        "inimask_threshold=0.01",
    )  # fmt: skip
    job(
        "new", "postprocess", "--set", "fn_in=Refine3D/first3dref/run_half1_class001_unfil.mrc",
        "fn_mask=MaskCreate/job007/mask.mrc", *more,
    )  # fmt: skip
    job("schedule", "7", "8", "--wait")
    assert run_command(["report", "first3dref"]) == 0
    assert run_command(["report", "8"]) == 0
    text = Path("PostProcess/job008/postprocess.star").read_text()
    return float(re.search(r"_rlnFinalResolution\s+(\S+)", text)[1])


def methods_of(path):
    html = Path(path).read_text(encoding="utf-8")
    return re.search(r"For a methods section</h2>\s*<p>(.*?)</p>", html, re.DOTALL)[1]


def test_short_workflow_by_the_command_line(shared_data, tmp_path, monkeypatch, capsys):
    prepare(shared_data, tmp_path, monkeypatch, box=40)
    refine("sampling=15 degrees", "offset_range=3", "auto_iter_max=2")
    assert not Path("Refine3D/job006/run_class001.mrc").exists()  # it has not converged
    job("continue", "first3dref", "--wait", "--set", "force_converge=Yes", "auto_iter_max=999")
    # 15.9 Å is Nyquist, which three iterations do not reach
    assert 15.9 < finish("autob_lowres=45") < 40

    project = open_project(tmp_path)
    assert {record.status for record in project.jobs()} == {"Succeeded"}
    assert project.job("best3dclass_bigbox").number == 4
    sources = {(edge.source, edge.target) for edge in project.edges()}
    assert ("Extract/job004/", "Refine3D/job006/") in sources
    assert ("External/job005/", "Refine3D/job006/") in sources
    assert ("Refine3D/job006/", "PostProcess/job008/") in sources
    volume, pixel_size = read_map("Refine3D/job006/run_class001.mrc")
    assert volume.shape == (40, 40, 40)
    assert pixel_size == pytest.approx(0.885 * 9)
    # D2: half a turn about z
    turned = np.roll(volume[:, ::-1, ::-1], (1, 1), axis=(1, 2))
    assert np.corrcoef(volume[:, 1:, 1:].ravel(), turned[:, 1:, 1:].ravel())[0, 1] > 0.99
    text = methods_of("Refine3D/job006/report.html")
    assert text.startswith("220 particles (box 40 px, 7.965 Å/px)")
    assert "in point group D2" in text
    capsys.readouterr()
    assert run_command(["job", "show", "first3dref"]) == 0
    shown = capsys.readouterr().out
    assert "--continue Refine3D/job006/run_it002_optimiser.star" in shown
    assert "Refine3D/job006/run_half1_class001_unfil.mrc" in shown


@pytest.mark.slow
def test_whole_workflow_by_the_command_line(shared_data, tmp_path, monkeypatch):
    """360 -> 90 px; RELION 3.1.3 reaches 7.27 Å between the half maps, inside a sphere."""
    prepare(shared_data, tmp_path, monkeypatch, box=90)
    refine()
    assert finish() < 9.0
    assert "converged after" in methods_of("Refine3D/job006/report.html")
    # the same settings in another job give the same map, bit for bit
    job("clone", "first3dref", "--wait")
    first, second = (Path(f"Refine3D/job{n}/run_class001.mrc").read_bytes() for n in ("006", "009"))
    assert first == second
