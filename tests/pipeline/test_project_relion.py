"""Projects shared with RELION 3.1.3: its pipeliner reads, runs and writes in ours; we in its."""

import os
import shutil
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from aurefine.io.mrc import read_map, write_map
from aurefine.jobs.actions import continue_job, create_job, job_settings, mark_job, run_job
from aurefine.jobs.job_types import JOB_TYPES
from aurefine.project import init_project, open_project, read_pipeline
from aurefine.project.project import renamed
from aurefine.project.refresh import refresh
from aurefine.project.trash import delete_jobs

pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_pipeliner") is None, reason="RELION is missing"),
]


def relion(project, *words, **environment):
    result = subprocess.run(
        ["relion_pipeliner", *words],
        cwd=project.path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output


def sphere(n=32, radius=9):
    z, y, x = np.indices((n, n, n)) - n // 2
    return (z**2 + y**2 + x**2 < radius**2).astype(np.float32)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Project of ours with a map, half maps, and one job of every type."""
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    rng = np.random.default_rng(1)
    write_map(tmp_path / "map.mrc", sphere(), 3.0)
    for half in (1, 2):
        noisy = sphere() + rng.normal(scale=0.05, size=(32, 32, 32)).astype(np.float32)
        write_map(tmp_path / f"run_half{half}_class001_unfil.mrc", noisy.astype(np.float32), 3.0)
    project = init_project(tmp_path)
    inputs = {
        "import": {
            "do_raw": "No", "do_other": "Yes", "fn_in_other": "map.mrc",
            "node_type": "3D reference (.mrc)",
        },
        "rescale": {"in_3dref": "Import/job001/map.mrc", "new_box": "24"},
        "maskcreate": {"fn_in": "Import/job001/map.mrc", "lowpass_filter": "15"},
        "postprocess": {
            "fn_in": "run_half1_class001_unfil.mrc", "fn_mask": "MaskCreate/job003/mask.mrc",
        },
        "extract": {"star_mics": "m.star", "do_reextract": "Yes", "fndata_reextract": "p.star"},
        "refine3d": {"fn_img": "Extract/job005/particles.star", "fn_ref": "map.mrc"},
    }  # fmt: skip
    for name, values in inputs.items():
        create_job(project, JOB_TYPES[name], values, alias=f"my_{name}")
    return project


def wait(project, job):
    end = time.monotonic() + 120
    while project.job(job).status == "Running" and time.monotonic() < end:
        time.sleep(0.1)
        refresh(project)
    return project.job(job).status


def test_relion_reads_our_project_and_changes_nothing(project):
    run_job(project, "1")
    assert wait(project, "1") == "Succeeded"
    before = project.pipeline_path.read_bytes()
    output = relion(project, "--check_job_completion")
    assert "WARNING" not in output
    assert project.pipeline_path.read_bytes() == before
    assert not (project.path / ".relion_lock").exists()


def test_relion_marks_what_has_ended(project):
    with project.edit("x") as pipeline:
        for name, process in pipeline.processes.items():
            pipeline.processes[name] = renamed(process, status="Running")
    for name, ending in (("1", "SUCCESS"), ("2", "FAILURE"), ("3", "ABORTED")):
        job = project.job(name)
        for node in ("map.mrc", "mask.mrc"):
            (job.folder / node).touch()
        (job.folder / f"RELION_JOB_EXIT_{ending}").touch()
    relion(project, "--check_job_completion")
    statuses = [job.status for job in project.jobs()]
    assert statuses == ["Succeeded", "Failed", "Aborted", "Running", "Running", "Running"]


def test_relion_adds_and_runs_jobs_in_our_project(project):
    run_job(project, "1")
    wait(project, "1")
    run_job(project, "3")
    assert wait(project, "3") == "Succeeded"
    relion(
        project, "--addJob", "PostProcess", "--setJobAlias", "theirs", "--addJobOptions",
        "fn_in == run_half1_class001_unfil.mrc;fn_mask == MaskCreate/my_maskcreate/mask.mrc;"
        "autob_lowres == 20",
    )  # fmt: skip
    job = project.job("theirs")
    assert (job.name, job.status) == ("PostProcess/job007/", "Scheduled")
    relion(project, "--RunJobs", job.name, "--schedule", "one", "--sec_wait_after", "1")
    assert project.job("theirs").status == "Succeeded"
    assert (job.folder / "postprocess.mrc").exists()
    settings = job_settings(project, "theirs")
    assert settings.job_type is JOB_TYPES["postprocess"]
    assert settings.unknown == ()
    assert ("MaskCreate/job003/", "PostProcess/job007/") in [
        (edge.source, edge.target) for edge in project.edges()
    ]


def test_relion_runs_jobs_that_we_have_set_up(project):
    for name in ("Import/job001/", "MaskCreate/job003/", "PostProcess/job004/"):
        relion(project, "--RunJobs", name, "--schedule", "ours", "--sec_wait_after", "1")
        assert project.job(name).status == "Succeeded", name
    assert (project.path / "PostProcess/job004/postprocess.star").exists()


def test_relion_runs_our_map_rescale_as_an_external_job(project, tmp_path):
    program = tmp_path / "bin" / "aurefine"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m aurefine "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{program.parent}:{os.environ['PATH']}"
    relion(project, "--RunJobs", "Import/job001/", "--schedule", "a", "--sec_wait_after", "1")
    relion(
        project, "--RunJobs", "External/job002/", "--schedule", "b", "--sec_wait_after", "1",
        PATH=path,
    )  # fmt: skip
    assert project.job("2").status == "Succeeded"
    assert read_map(project.path / "External/job002/rescaled.mrc")[0].shape == (24, 24, 24)


def test_we_use_a_project_that_relion_made(tmp_path, monkeypatch):
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    write_map(tmp_path / "map.mrc", sphere(), 3.0)
    (tmp_path / "default_pipeline.star").write_text(
        "\n# version 30001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter 1\n \n"
    )
    project = open_project(tmp_path)
    relion(
        project, "--addJob", "Import", "--setJobAlias", "start", "--addJobOptions",
        "do_raw == No;do_other == Yes;fn_in_other == map.mrc;node_type == 3D reference (.mrc)",
    )  # fmt: skip
    relion(project, "--RunJobs", "Import/job001/", "--schedule", "x", "--sec_wait_after", "1")
    assert project.job("start").status == "Succeeded"
    job = create_job(project, JOB_TYPES["maskcreate"], {"fn_in": "Import/start/map.mrc"})
    assert run_job(project, job.name).number == 2
    assert wait(project, "2") == "Succeeded"
    assert [(edge.source, edge.target) for edge in project.edges()] == [
        ("Import/job001/", "MaskCreate/job002/")
    ]
    continue_job(project, "2")
    assert wait(project, "2") == "Succeeded"
    delete_jobs(project, ["start"])
    relion(project, "--check_job_completion")
    assert list(read_pipeline(project.pipeline_path).processes) == ["MaskCreate/job002/"]


def test_relion_waits_for_our_lock_and_finds_it_released(project):
    with project.edit("x") as pipeline:
        pipeline.counter = 50
    relion(
        project, "--addJob", "Import", "--addJobOptions",
        "do_raw == No;do_other == Yes;fn_in_other == map.mrc;node_type == 3D mask (.mrc)",
    )  # fmt: skip
    assert project.job("50").name == "Import/job050/"
    mark_job(project, "50", "Failed")
    assert project.pipeline().counter == 51
