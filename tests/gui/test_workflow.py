"""A whole project, from import to report, by clicks in a browser and again by commands."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aurefine.io import read_map, read_star
from aurefine.project import init_project, open_project

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SIZE = "90"
PIXEL_SIZE = "3.54"
EXTRACT = {
    "star_mics": "CtfFind/job003/micrographs_ctf.star",
    "do_reextract": "Yes",
    "fndata_reextract": "Import/job001/particles.star",
    "do_recenter": "Yes",
    "extract_size": "360",
    "do_rescale": "Yes",
    "rescale": SIZE,
}
RESCALE = {
    "in_3dref": "Import/job002/run_it025_class001.mrc",
    "rescale_angpix": PIXEL_SIZE,
    "new_box": SIZE,
}
REFINE = {
    "fn_img": "Extract/best3dclass_bigbox/particles.star",
    "fn_ref": "External/job004/rescaled.mrc",
    "ini_high": "50",
    "sym_name": "D2",
    "ref_correct_greyscale": "No",
    "particle_diameter": "190",
    "nr_threads": "2",
    "other_args": "--random_seed 1",
}
MASK = {
    "fn_in": "Refine3D/first3dref/run_class001.mrc",
    "lowpass_filter": "15",
    "inimask_threshold": "0.05",
    "extend_inimask": "2",
    "width_mask_edge": "5",
}
POSTPROCESS = {
    "fn_in": "Refine3D/first3dref/run_half1_class001_unfil.mrc",
    "fn_mask": "MaskCreate/job006/mask.mrc",
}
RESULTS = (
    "External/job004/rescaled.mrc",
    "Refine3D/job005/run_class001.mrc",
    "Refine3D/job005/run_half1_class001_unfil.mrc",
    "Refine3D/job005/run_half2_class001_unfil.mrc",
    "MaskCreate/job006/mask.mrc",
    "PostProcess/job007/postprocess_masked.mrc",
)


def new_project(folder, data):
    """A fresh project beside the results of other programs."""
    init_project(folder)
    for name in ("CtfFind", "MotionCorr", "Select", "Class3D"):
        shutil.copytree(data / name, folder / name)
    return folder


def by_clicks(page):
    """Do the whole workflow in the page; the pictures are kept."""
    page.new_job("Import")
    page.fill(
        {
            "Movies/mics": {"Import raw movies/micrographs?": "No"},
            "Others": {
                "Import other node types?": "Yes",
                "Node type:": "Particles STAR file (.star)",
                "Input file:": "Select/class3d_first_exhaustive/particles.star",
            },
        }
    )
    assert page.start() == "Import/job001/"
    page.wait_for_state("finished", 60)
    page.new_job("Import")
    page.fill(
        {
            "Movies/mics": {"Import raw movies/micrographs?": "No"},
            "Others": {
                "Import other node types?": "Yes",
                "Node type:": "3D reference (.mrc)",
                "Input file:": "Class3D/first_exhaustive/run_it025_class001.mrc",
            },
        }
    )
    page.start()
    page.wait_for_state("finished", 60)

    page.new_job("Particle extraction")
    page.fill(
        {
            "I/O": {
                "micrograph STAR file:": EXTRACT["star_mics"],
                "OR re-extract refined particles?": "Yes",
            }
        }
    )
    page.browse("Refined particles STAR file:", "Import/job001/particles.star")
    page.fill(
        {
            "I/O": {"OR: re-center refined coordinates?": "Yes"},
            "extract": {
                "Particle box size (pix):": "360",
                "Rescale particles?": "Yes",
                "Re-scaled size (pixels):": SIZE,
            },
        }
    )
    page.start(alias="best3dclass_bigbox")
    page.wait_for_state("finished", 120)
    page.tab.wait_for_selector(".particles[data-ready]")
    page.picture("workflow_extract", whole=True)

    page.new_job("Map rescale")
    page.browse("Input 3D map:", "Import/job002/run_it025_class001.mrc")
    page.fill({"I/O": {"New pixel size (A):": PIXEL_SIZE, "New box size (pix):": SIZE}})
    page.start()
    page.wait_for_state("finished", 60)

    page.new_job("3D auto-refine")
    page.browse("Input images STAR file:", "best3dclass_bigbox/particles.star")
    page.browse("Reference map:", "External/job004/rescaled.mrc")
    page.fill(
        {
            "Reference": {
                "Initial low-pass filter (A):": "50",
                "Symmetry:": "D2",
                "Ref. map is on absolute greyscale?": "No",
            },
            "Optimisation": {"Mask diameter (A):": "190"},
            "Running": {"Number of threads:": "2", "Additional arguments:": "--random_seed 1"},
        }
    )
    page.picture("workflow_form")
    assert page.start(alias="first3dref") == "Refine3D/job005/"
    watch(page)

    page.new_job("Mask creation")
    page.browse("Input 3D map:", "first3dref/run_class001.mrc")
    page.fill(
        {
            "Mask": {
                "Lowpass filter map (A)": MASK["lowpass_filter"],
                "Initial binarisation threshold:": MASK["inimask_threshold"],
                "Extend binary map this many pixels:": MASK["extend_inimask"],
                "Add a soft-edge of this many pixels:": MASK["width_mask_edge"],
            }
        }
    )
    page.start()
    page.wait_for_state("finished", 60)

    page.new_job("Post-processing")
    page.browse("One of the 2 unfiltered half-maps:", "first3dref/run_half1_class001_unfil.mrc")
    page.browse("Solvent mask:", "MaskCreate/job006/mask.mrc")
    page.start()
    page.wait_for_state("finished", 60)
    page.tab.wait_for_selector(".plot path.line")
    page.wait_for_surface()
    page.picture("workflow_postprocess", whole=True)


def watch(page):
    """Follow the refinement: the page changes by itself, soon after the files do."""
    folder = page.server.project / "Refine3D" / "job005"
    page.wait_for_state("running", 30)
    shown, is_pictured = 0, False
    delays = []
    deadline = time.monotonic() + 900
    while page.tab.locator(".page-head .badge.running").count():
        assert time.monotonic() < deadline
        iterations = len(list(folder.glob("run_it*_optimiser.star"))) - 1  # without the start
        if iterations > shown:
            shown = iterations
            written = (folder / f"run_it{iterations:03d}_optimiser.star").stat().st_mtime
            page.tab.wait_for_selector(
                ",".join(f".refinement[data-iterations='{n}']" for n in range(shown, shown + 4))
            )
            delays.append(time.time() - written)
        if shown >= 4 and not is_pictured:
            is_pictured = True
            page.wait_for_surface()
            page.picture("workflow_live", whole=True)
        page.tab.wait_for_timeout(100)
    page.wait_for_state("finished", 10)
    page.wait_for_surface("Refine3D/job005/run_class001.mrc")
    page.picture("workflow_refined", whole=True)
    print("seconds from an iteration's last file to the page:", np.round(delays, 2))


def by_commands(folder):
    """Do the same with commands alone."""

    def aurefine(*words):
        command = [sys.executable, "-m", "aurefine", "job", *words, "--project", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def new(kind, values, *more):
        settings = [f"{key}={value}" for key, value in values.items()]
        aurefine("new", kind, "--set", *settings, *more, "--run", "--wait")

    other = {"do_raw": "No", "do_other": "Yes"}
    particles = {"node_type": "Particles STAR file (.star)"}
    name = "Select/class3d_first_exhaustive/particles.star"
    new("import", {**other, **particles, "fn_in_other": name})
    reference = {"node_type": "3D reference (.mrc)"}
    name = "Class3D/first_exhaustive/run_it025_class001.mrc"
    new("import", {**other, **reference, "fn_in_other": name})
    new("extract", EXTRACT, "--alias", "best3dclass_bigbox")
    new("rescale", RESCALE)
    new("refine3d", REFINE, "--alias", "first3dref")
    new("maskcreate", MASK)
    new("postprocess", POSTPROCESS)


def test_clicks_and_commands_give_identical_maps(shared_data, tmp_path, serve, open_page):
    data = shared_data / "d2-micrographs"
    clicked = new_project(tmp_path / "clicked", data)
    typed = new_project(tmp_path / "typed", data)
    page = open_page(serve(clicked))
    by_clicks(page)

    report = page.write_report()
    text = Path(clicked / report).read_text()
    assert "<script" not in text
    assert re.search(r"first3dref|PostProcess/job007", text)

    page.go("#/compare/Refine3D%2Fjob005%2F/PostProcess%2Fjob007%2F")
    page.wait_for_surface()
    page.picture("workflow_compare", whole=True)
    page.go("#/")
    page.tab.locator(".flow-job").nth(6).wait_for()
    page.picture("workflow_flow")

    by_commands(typed)
    for name in RESULTS:
        first, second = read_map(clicked / name), read_map(typed / name)
        assert np.array_equal(first[0], second[0]), name
        assert first[1] == second[1], name
    # RELION 3.1.3 reaches 7.3 Å on these particles; Nyquist is 7.08 Å
    general = read_star(clicked / "PostProcess/job007/postprocess.star").values("general")
    assert float(general["rlnFinalResolution"]) < 7.6
    assert [job.status for job in open_project(clicked).jobs()] == ["Succeeded"] * 7
    assert (clicked / "Extract" / "best3dclass_bigbox").is_symlink()
    assert (clicked / "Refine3D" / "first3dref").is_symlink()
