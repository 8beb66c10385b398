"""What can be done with jobs: make, run, continue, abort, clone, mark, schedule."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from aurefine.errors import OptionError
from aurefine.io.mrc import read_map, write_map
from aurefine.jobs.actions import (
    abort_job,
    clone_job,
    continue_job,
    create_job,
    job_settings,
    mark_job,
    run_job,
    set_alias,
)
from aurefine.jobs.clean import clean_job
from aurefine.jobs.job_types import JOB_TYPES
from aurefine.jobs.schedule import (
    can_get_ready,
    is_queued,
    schedule_jobs,
    unschedule_jobs,
    waits_for,
)
from aurefine.jobs.supervise import supervise
from aurefine.project import Process, init_project, open_project
from aurefine.project.refresh import refresh
from aurefine.project.status import process_start, read_run_record

RESCALE = JOB_TYPES["rescale"]
MASK = JOB_TYPES["maskcreate"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Project with a small map; jobs do not write reports, which take a second each."""
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    rng = np.random.default_rng(0)
    write_map(tmp_path / "map.mrc", rng.normal(size=(16, 16, 16)).astype(np.float32), 2.0)
    return init_project(tmp_path)


def rescale(project, **changes):
    return create_job(project, RESCALE, {"in_3dref": "map.mrc", "new_box": "12", **changes})


def wait(project, job, *, seconds=60):
    end = time.monotonic() + seconds
    while project.job(job).status in ("Running", "Scheduled") and time.monotonic() < end:
        time.sleep(0.05)
        refresh(project)
    return project.job(job).status


def endless(project):
    """A job that runs until it is stopped, watched over as any other one."""
    job = rescale(project)
    with project.edit("x") as pipeline:
        old = pipeline.processes[job.name]
        pipeline.processes[job.name] = Process(old.name, "", old.type, "Running")
    code = "import time\ntime.sleep(600)"
    words = [sys.executable, "-m", "aurefine.jobs.supervise", str(project.path), job.name]
    watcher = subprocess.Popen([*words, sys.executable, "-c", code], start_new_session=True)
    while read_run_record(job.folder) is None:
        time.sleep(0.02)
    return project.job(job.name), watcher


def test_new_job_is_set_up_with_its_files_and_not_started(project):
    job = create_job(project, RESCALE, {"in_3dref": "map.mrc", "new_box": "12"}, alias="small one")
    assert (job.name, job.status, job.alias) == ("External/job001/", "Scheduled", "small_one")
    assert os.readlink(project.path / "External" / "small_one") == "../External/job001/"
    assert [node.path for node in project.nodes("map")] == [
        "External/job001/rescaled.mrc", "map.mrc",
    ]  # fmt: skip
    assert project.pipeline().counter == 2
    assert (project.path / ".gui_externaljob.star").exists()


def test_nothing_is_written_for_a_job_with_a_mistake(project):
    before = sorted(project.path.iterdir())
    with pytest.raises(OptionError, match="expected a number"):
        rescale(project, rescale_angpix="wide")
    with pytest.raises(OptionError, match="no option"):
        create_job(project, RESCALE, {"nonsense": "1"})
    assert sorted(project.path.iterdir()) == before


def test_job_runs_to_its_end_and_leaves_what_relion_expects(project):
    job = run_job(project, rescale(project).name)
    assert job.status == "Running"
    assert wait(project, job.name) == "Succeeded"
    names = {path.name for path in job.folder.iterdir()}
    assert {
        "job.star", "job_pipeline.star", "default_pipeline.star", "note.txt", "run.out", "run.err",
        "RELION_JOB_EXIT_SUCCESS", "rescaled.mrc",
    } <= names  # fmt: skip
    assert "aurefine rescale --o External/job001/" in (job.folder / "note.txt").read_text()
    assert (project.path / ".Nodes" / "6" / "External" / "job001" / "rescaled.mrc").exists()
    assert read_map(job.folder / "rescaled.mrc")[0].shape == (12, 12, 12)
    done = project.job(job.name)
    assert done.started
    assert done.finished
    assert done.finished >= done.started


def test_report_is_written_at_the_end(project, monkeypatch):
    monkeypatch.delenv("AUREFINE_REPORT")
    job = run_job(project, rescale(project).name)
    end = time.monotonic() + 60
    while not (job.folder / "report.html").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert "12 × 12 × 12" in (job.folder / "report.html").read_text(encoding="utf-8")


def test_failure_is_marked_and_explained(project):
    job = rescale(project)
    (project.path / "map.mrc").write_bytes(b"this is no map")
    run_job(project, job.name)
    assert wait(project, job.name) == "Failed"
    assert "map.mrc" in (job.folder / "run.err").read_text()


def test_job_without_its_input_is_not_started(project):
    job = rescale(project, in_3dref="absent.mrc")
    with pytest.raises(OptionError, match=r"Input 3D map: there is no file 'absent\.mrc'"):
        run_job(project, job.name)
    assert project.job(job.name).status == "Scheduled"


def test_job_is_not_started_twice(project):
    job, watcher = endless(project)
    try:
        with pytest.raises(OptionError, match="running already"):
            run_job(project, job.name)
    finally:
        watcher.terminate()
        watcher.wait()


def test_aborted_job_stops_and_is_marked(project):
    job, watcher = endless(project)
    abort_job(project, job.name)
    assert wait(project, job.name) == "Aborted"
    watcher.wait(timeout=20)
    with pytest.raises(OptionError, match="is not running"):
        abort_job(project, job.name)


def test_job_goes_on_when_its_watcher_is_killed(project):
    job, watcher = endless(project)
    while not (record := read_run_record(job.folder)) or not record.worker:
        time.sleep(0.02)
    watcher.kill()
    watcher.wait()
    assert refresh(project) == []  # the work goes on
    abort_job(project, job.name)
    assert wait(project, job.name) == "Aborted"
    assert process_start(record.worker) == 0


def test_job_survives_the_program_that_started_it(project):
    job = rescale(project)
    code = (
        "import os, sys\nfrom aurefine.project import open_project\n"
        "from aurefine.jobs.actions import run_job\n"
        "run_job(open_project(sys.argv[1]), sys.argv[2])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(project.path), job.name], check=False)
    assert wait(project, job.name) == "Succeeded"


def test_command_that_is_killed_is_marked_as_failed(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    init_project(tmp_path)
    (tmp_path / "Job").mkdir()
    old = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    }
    try:
        code = "import os\nos.kill(os.getpid(), 9)"
        assert supervise(tmp_path, "Job/", [sys.executable, "-c", code]) == -9
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    assert (tmp_path / "Job" / "RELION_JOB_EXIT_FAILURE").exists()
    assert "SIGKILL" in capfd.readouterr().err


def test_old_watcher_leaves_a_job_alone_that_runs_again(tmp_path, monkeypatch):
    """The command has ended, but its watcher looks only after the job was started anew."""
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    init_project(tmp_path)
    (tmp_path / "Job").mkdir()
    old = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    code = "from aurefine.project.status import write_run_record as w\nimport pathlib, sys\n"
    code += "w(pathlib.Path(sys.argv[1]), 1)"
    try:
        supervise(tmp_path, "Job/", [sys.executable, "-c", code, str(tmp_path / "Job")])
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    assert not list((tmp_path / "Job").glob("RELION_JOB_EXIT_*"))


def test_continued_job_appends_to_its_files(project):
    job = rescale(project)
    run_job(project, job.name)
    wait(project, job.name)
    continue_job(project, job.name)
    assert wait(project, job.name) == "Succeeded"
    note = (job.folder / "note.txt").read_text()
    assert note.count("++++ Executing new job") == 1
    assert note.count("++++ Continuing job") == 1
    assert job_settings(project, job.name).is_continue


def test_job_that_never_ran_is_not_continued(project):
    with pytest.raises(OptionError, match="run it instead"):
        continue_job(project, rescale(project).name)


def test_clone_has_the_settings_of_the_old_one_and_the_changes(project):
    old = rescale(project)
    new = clone_job(project, old.name, {"new_box": "10"}, alias="ten")
    assert new.number == 2
    values = job_settings(project, "ten").values
    assert (values["in_3dref"], values["new_box"]) == ("map.mrc", "10")


def test_changed_alias_moves_the_link(project):
    job = create_job(project, RESCALE, {"in_3dref": "map.mrc", "new_box": "12"}, alias="first")
    set_alias(project, job.name, "second")
    links = [path.name for path in (project.path / "External").iterdir() if path.is_symlink()]
    assert links == ["second"]
    set_alias(project, job.name, "")
    assert not (project.path / "External" / "second").is_symlink()
    assert project.job(job.name).alias == ""


def test_job_of_a_crashed_computer_is_marked_by_hand(project):
    job = rescale(project)
    with project.edit("x") as pipeline:
        old = pipeline.processes[job.name]
        pipeline.processes[job.name] = Process(old.name, "", old.type, "Running")
    assert mark_job(project, job.name, "Failed").status == "Failed"
    assert (job.folder / "RELION_JOB_EXIT_FAILURE").exists()


def test_refinement_without_an_iteration_does_not_count_as_finished(project):
    values = {"fn_img": "p.star", "fn_ref": "map.mrc"}
    job = create_job(project, JOB_TYPES["refine3d"], values)
    with pytest.raises(OptionError, match="no complete iteration"):
        mark_job(project, job.name, "Succeeded")
    for name in ("optimiser.star", "data.star", "half1_class001.mrc"):
        (job.folder / f"run_it003_{name}").touch()
    mark_job(project, job.name, "Succeeded")
    paths = [node.path for node in project.nodes("particles", "halfmap") if node.job]
    assert sorted(paths) == [
        "Refine3D/job001/run_it003_data.star", "Refine3D/job001/run_it003_half1_class001.mrc",
    ]  # fmt: skip


def test_scheduled_jobs_run_in_order_when_their_inputs_are_ready(project):
    first = rescale(project)
    second = create_job(project, MASK, {"fn_in": f"{first.name}rescaled.mrc"})
    third = create_job(project, RESCALE, {"in_3dref": f"{second.name}mask.mrc", "new_box": "8"})
    assert waits_for(project, second.name) == f"{first.name} (scheduled)"
    schedule_jobs(project, [third.name, second.name, first.name])  # whatever their order
    assert is_queued(third)
    assert wait(project, third.name) == "Succeeded"
    ends = [project.job(job.name).finished for job in (first, second, third)]
    assert None not in ends
    assert ends == sorted(ends)


def test_job_behind_a_failed_one_waits(project):
    first = rescale(project)
    second = create_job(project, MASK, {"fn_in": f"{first.name}rescaled.mrc"})
    (project.path / "map.mrc").write_bytes(b"no map")
    schedule_jobs(project, [first.name, second.name])
    assert wait(project, first.name) == "Failed"
    assert waits_for(project, second.name) == f"{first.name} (failed)"
    assert project.job(second.name).status == "Scheduled"
    assert not can_get_ready(project, second.name)
    unschedule_jobs(project, [second.name])
    assert not is_queued(project.job(second.name))


def test_job_whose_input_was_never_made_can_not_get_ready(project):
    first = rescale(project)
    second = create_job(project, MASK, {"fn_in": f"{first.name}rescaled.mrc"})
    schedule_jobs(project, [second.name])
    assert not can_get_ready(project, second.name)  # nobody has started the first one
    mark_job(project, first.name, "Succeeded")
    assert "rescaled.mrc, which External/job001/ has not made" in waits_for(project, second.name)
    assert not can_get_ready(project, second.name)
    (first.folder / "rescaled.mrc").touch()
    assert can_get_ready(project, second.name)


def test_scheduler_of_a_project_that_is_removed_ends(project):
    first = rescale(project, in_3dref="to_come.mrc")
    (project.path / first.name / ".aurefine_scheduled").write_text("1\n")
    words = [sys.executable, "-m", "aurefine.jobs.schedule", str(project.path)]
    with subprocess.Popen(words, cwd="/") as scheduler:
        while not (project.path / ".aurefine_scheduler").exists():
            time.sleep(0.02)
        time.sleep(0.2)
        assert scheduler.poll() is None  # it waits for the file
        shutil.rmtree(project.path)
        scheduler.wait(timeout=30)


def test_finished_job_can_not_be_scheduled(project):
    job = rescale(project)
    mark_job(project, job.name, "Failed")
    with pytest.raises(OptionError, match="Clone it"):
        schedule_jobs(project, [job.name])


def test_cleaning_a_refinement_keeps_the_last_iteration_and_what_is_used(project):
    job = create_job(project, JOB_TYPES["refine3d"], {"fn_img": "p.star", "fn_ref": "map.mrc"})
    for number in (1, 2, 3):
        for name in ("optimiser.star", "data.star"):
            (job.folder / f"run_it{number:03d}_{name}").touch()
    mark_job(project, job.name, "Succeeded")
    with project.edit("x") as pipeline:
        node = f"{job.name}run_it001_data.star"
        pipeline.add_input(node, "ParticleGroupMetadata.star.relion", "Extract/job009/")
    names = clean_job(project, job.name)
    assert [name.rpartition("/")[2] for name in names] == [
        "run_it002_data.star", "run_it002_optimiser.star",
    ]  # fmt: skip
    assert (project.path / "Trash" / names[0]).exists()


def test_project_of_relion_is_continued_and_cloned(shared_data, tmp_path):
    shutil.copytree(shared_data / "golden" / "pipeline" / "relion5", tmp_path / "p")
    project = open_project(tmp_path / "p")
    new = clone_job(project, "first3dref")
    assert new.name == "Refine3D/job017/"
    assert job_settings(project, "17").values["other_args"] == "--auto_iter_max 1"
    assert project.pipeline().dialect == "5.0"
    assert project.pipeline().processes[new.name].type == "relion.refine3d"
