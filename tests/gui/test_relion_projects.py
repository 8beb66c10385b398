"""Projects and refinements of RELION are shown as they are."""

import shutil

import pytest

from aurefine.gui.folder import Folder
from aurefine.gui.refinement import RefinementStore


@pytest.fixture(params=("relion31", "relion5"))
def project(request, shared_data, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(shared_data / "golden" / "pipeline" / request.param, folder, symlinks=True)
    return folder


def test_jobs_of_a_relion_project_are_listed(browser):
    jobs = browser.get("/api/jobs")["jobs"]
    titles = {job["type_title"] for job in jobs}
    assert "3D auto-refine" in titles
    assert all(job["status"] for job in jobs)


def test_every_job_of_a_relion_project_can_be_looked_at(browser):
    for job in browser.get("/api/jobs")["jobs"]:
        browser.get("/api/results", job=job["name"])
        settings = browser.get("/api/job/settings", job=job["name"])
        assert settings["values"] or settings["problem"]


def test_refinement_of_a_relion_project_can_be_cloned(browser):
    jobs = browser.get("/api/jobs")["jobs"]
    shown = [job for job in jobs if job["kind"] == "Refine3D"]
    form = browser.get("/api/form", **{"type": "refine3d", "from": shown[0]["name"]})
    assert form["values"]["fn_img"].endswith(".star")


@pytest.mark.parametrize("version", ("R313", "R5"))
def test_progress_of_a_relion_run_is_read(shared_data, version):
    root = (shared_data / "golden" / "refine").resolve()
    store = RefinementStore(Folder(root))
    progress = store.progress(root / version)
    assert progress["history"][0]["iteration"] == 3
    assert progress["history"][0]["resolution"] == pytest.approx(18.88)
    assert progress["stage"]["name"] == "finished"
    assert store.directions(root / version)["particles"] == 120
