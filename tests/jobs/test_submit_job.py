"""Handing jobs to a queue, with programs that stand in for those of SLURM."""

import stat
import subprocess

import numpy as np
import pytest

from aurefine.errors import AurefineError
from aurefine.io.mrc import write_map
from aurefine.jobs.actions import abort_job, create_job, run_job
from aurefine.jobs.job_types import JOB_TYPES
from aurefine.project import init_project
from aurefine.project.refresh import refresh
from aurefine.project.status import read_run_record

TEMPLATE = """#!/bin/bash
#SBATCH --ntasks=XXXmpinodesXXX --cpus-per-task=XXXthreadsXXX -p XXXqueueXXX -J XXXnameXXX
XXXcommandXXX >> XXXoutfileXXX 2>> XXXerrfileXXX
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Project, and programs sbatch, squeue and scancel that write down their arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (
        ("sbatch", 'echo "Submitted batch job 4711"'), ("squeue", "echo PENDING"), ("scancel", ""),
    ):  # fmt: skip
        path = folder / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> "{tmp_path}/calls"\n{text}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    project = init_project(tmp_path / "project")
    write_map(project.path / "map.mrc", np.ones((16, 16, 16), np.float32), 2.0)
    (project.path / "slurm.sh").write_text(TEMPLATE)
    return project


def submit(project, **changes):
    values = {
        "in_3dref": "map.mrc", "new_box": "12", "do_queue": "Yes", "qsubscript": "slurm.sh",
        "queuename": "fast", **changes,
    }  # fmt: skip
    job = create_job(project, JOB_TYPES["rescale"], values)
    return run_job(project, job.name)


def test_submitted_job_runs_when_the_queue_starts_its_script(queue, tmp_path):
    job = submit(queue)
    assert job.status == "Running"
    assert read_run_record(job.folder).queue_id == "4711"
    assert (tmp_path / "calls").read_text() == "sbatch External/job001/run_submit.script\n"
    assert refresh(queue) == []  # nobody here can know how it stands
    text = (job.folder / "run_submit.script").read_text()
    assert "-p fast -J External/job001/" in text
    subprocess.run(["bash", f"{job.name}run_submit.script"], cwd=queue.path, check=True)
    assert queue.job(job.name).status == "Succeeded"
    assert (job.folder / "rescaled.mrc").exists()


def test_job_that_the_queue_killed_is_marked(queue):
    job = submit(queue)
    script = job.folder / "run_submit.script"
    lines = script.read_text().splitlines()
    lines[2] = "sh -c 'kill -9 $$'"
    script.write_text("\n".join(lines))
    subprocess.run(["bash", script], cwd=queue.path, check=False)
    assert queue.job(job.name).status == "Failed"


def test_waiting_job_leaves_the_queue_when_it_is_aborted(queue, tmp_path):
    job = submit(queue)
    assert abort_job(queue, job.name).status == "Aborted"
    assert "scancel 4711" in (tmp_path / "calls").read_text()


def test_refusal_of_the_queue_is_told(queue, tmp_path):
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/sh\necho no such partition >&2\nexit 1\n")
    with pytest.raises(AurefineError, match="no such partition"):
        submit(queue)
    assert queue.job("1").status == "Failed"
    assert "no such partition" in (queue.path / "External/job001/run.err").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qsubscript": "absent.sh"}, "absent.sh"),
        ({"qsub": "no_such_program"}, "no_such_program"),
    ],
)
def test_missing_template_or_program_is_named(queue, changes, message):
    with pytest.raises(AurefineError, match=message):
        submit(queue, **changes)


def test_values_are_quoted_for_the_shell_of_the_script(queue):
    job = submit(queue, other_args="--lowpass '1; touch pwned'")
    text = (job.folder / "run_submit.script").read_text()
    assert "--lowpass '1; touch pwned'" in text


def test_template_of_the_program_is_taken_if_none_is_named(queue):
    job = submit(queue, qsubscript="")
    text = (job.folder / "run_submit.script").read_text()
    assert "#SBATCH" in text
    assert "aurefine rescale" in text
    assert "XXX" not in text
