"""Projects: finding jobs, files and edges; aliases; states; the trash."""

import os
import shutil
import subprocess
import sys

import pytest

from aurefine.errors import OptionError, OutputError
from aurefine.project import Process, init_project, open_project
from aurefine.project.aliases import checked_alias
from aurefine.project.refresh import refresh
from aurefine.project.status import write_run_record
from aurefine.project.trash import delete_jobs, undelete_job


@pytest.fixture
def relion5(shared_data, tmp_path):
    """Copy of a project that RELION 5 made, with its links."""
    shutil.copytree(shared_data / "golden" / "pipeline" / "relion5", tmp_path / "p")
    return open_project(tmp_path / "p")


@pytest.fixture
def chain(tmp_path):
    """Three jobs in a row: Extract, Refine3D, MaskCreate."""
    project = init_project(tmp_path / "chain")
    with project.edit("building") as pipeline:
        before = ""
        for number, kind in enumerate(("Extract", "Refine3D", "MaskCreate"), 1):
            name = f"{kind}/job{number:03d}/"
            (project.path / name).mkdir(parents=True)
            (project.path / name / "out.mrc").touch()
            pipeline.processes[name] = Process(name, "", f"relion.{kind.lower()}", "Succeeded")
            if before:
                pipeline.add_input(f"{before}out.mrc", "DensityMap.mrc", name)
            pipeline.add_output(name, f"{name}out.mrc", "DensityMap.mrc")
            before = name
        pipeline.counter = 4
    return project


def test_jobs_of_relion_are_listed_with_alias_and_state(relion5):
    jobs = relion5.jobs()
    assert [job.number for job in jobs] == [11, 12, 13, 14, 15, 16]
    assert jobs[1].alias == "first3dref"
    assert jobs[1].title == "first3dref"
    assert {job.status for job in jobs} == {"Succeeded", "Running"}


@pytest.mark.parametrize(
    "text",
    ["12", "012", "job012", "Refine3D/job012/", "Refine3D/job012", "first3dref",
     "Refine3D/first3dref"],
)  # fmt: skip
def test_job_is_found_by_number_name_and_alias(relion5, text):
    assert relion5.job(text).name == "Refine3D/job012/"


def test_unknown_job_is_named(relion5):
    with pytest.raises(OptionError, match="no job 'nothing'"):
        relion5.job("nothing")


def test_alias_of_two_jobs_is_not_enough(chain):
    with chain.edit("x") as pipeline:
        for name in ("Extract/job001/", "Refine3D/job002/"):
            old = pipeline.processes[name]
            alias = name.split("/")[0] + "/same/"
            pipeline.processes[name] = Process(name, alias, old.type, old.status)
    with pytest.raises(OptionError, match="several jobs"):
        chain.job("same")
    assert chain.job("Refine3D/same").number == 2


def test_files_for_browse_are_found_by_kind_newest_job_first(relion5):
    shown = [node.shown for node in relion5.nodes("halfmap")]
    assert shown == [
        "Refine3D/job016/run_half1_class001_unfil.mrc",
        "Refine3D/first3dref/run_half1_class001_unfil.mrc",
    ]
    assert {node.kind for node in relion5.nodes("mask")} == {"mask"}


def test_edges_lead_from_job_to_job(chain):
    assert [(edge.source, edge.target) for edge in chain.edges()] == [
        ("Extract/job001/", "Refine3D/job002/"),
        ("Refine3D/job002/", "MaskCreate/job003/"),
    ]


@pytest.mark.parametrize(
    ("alias", "message"),
    [("x", "at least 2"), ("jobs", "must not start"), ("a/b", "must not hold /"),
     ("a*b", "must not hold"), ("a$(b)", "must not hold"), ("../x", "must not"),
     ("a\nb", "must not hold"), ("taken", "has this alias already"), ("file", "exists")],
)  # fmt: skip
def test_alias_rules(chain, alias, message):
    pipeline = chain.pipeline()
    pipeline.processes["Refine3D/job009/"] = Process(
        "Refine3D/job009/", "Refine3D/taken/", "relion.refine3d", "Succeeded"
    )
    (chain.path / "Refine3D" / "file").touch()
    with pytest.raises(OptionError, match=message):
        checked_alias(pipeline, chain.path, "Refine3D/job002/", alias)


def test_blanks_in_an_alias_become_underscores(chain):
    found = checked_alias(chain.pipeline(), chain.path, "Refine3D/job002/", "my best map")
    assert found == "Refine3D/my_best_map/"


def test_lost_link_of_an_alias_is_made_again(relion5):
    refresh(relion5)
    assert os.readlink(relion5.path / "Refine3D" / "first3dref") == "../Refine3D/job012/"


@pytest.mark.parametrize(
    ("marker", "status"),
    [("SUCCESS", "Succeeded"), ("FAILURE", "Failed"), ("ABORTED", "Aborted")],
)
def test_markers_decide_the_state(relion5, marker, status):
    (relion5.path / "Refine3D" / "job016" / f"RELION_JOB_EXIT_{marker}").touch()
    assert refresh(relion5) == ["Refine3D/job016/"]
    assert relion5.job("16").status == status
    assert refresh(relion5) == []


def test_job_without_marker_and_process_of_ours_stays_running(relion5):
    assert refresh(relion5) == []
    assert relion5.job("16").status == "Running"


def test_job_whose_process_was_killed_has_failed(relion5):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_run_record(relion5.path / "Refine3D" / "job016", process.pid)
    assert refresh(relion5) == []
    process.kill()
    process.wait()
    assert refresh(relion5) == ["Refine3D/job016/"]
    assert relion5.job("16").status == "Failed"
    assert "killed" in (relion5.path / "Refine3D" / "job016" / "run.err").read_text()


def test_deleted_job_is_in_the_trash_and_comes_back(chain):
    assert delete_jobs(chain, ["2"]) == ["Refine3D/job002/"]
    assert (chain.path / "Trash" / "Refine3D" / "job002" / "out.mrc").exists()
    assert [job.number for job in chain.jobs()] == [1, 3]
    assert chain.edges() == []
    assert chain.pipeline().counter == 4  # numbers are not used again
    assert undelete_job(chain, "Refine3D/job002") == ["Refine3D/job002/"]
    assert (chain.path / "Refine3D" / "job002" / "out.mrc").exists()
    assert [(edge.source, edge.target) for edge in chain.edges()] == [
        ("Extract/job001/", "Refine3D/job002/")
    ]


def test_children_are_deleted_and_come_back_together(chain):
    names = ["Refine3D/job002/", "MaskCreate/job003/"]
    assert delete_jobs(chain, ["job002"], with_children=True) == names
    assert undelete_job(chain, "Refine3D/job002") == names
    assert len(chain.edges()) == 2


def test_running_job_is_not_deleted(relion5):
    with pytest.raises(OptionError, match="is running"):
        delete_jobs(relion5, ["16"])


def test_undelete_stays_inside_the_trash(chain):
    with pytest.raises(OptionError, match="no deleted job"):
        undelete_job(chain, "../../etc")


def test_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file/project"):
        init_project(tmp_path / "file" / "project")


def test_init_of_a_project_changes_nothing(relion5):
    before = relion5.pipeline_path.read_bytes()
    init_project(relion5.path)
    assert relion5.pipeline_path.read_bytes() == before


def test_thousand_finished_jobs_need_no_refresh(tmp_path):
    project = init_project(tmp_path)
    with project.edit("many") as pipeline:
        for number in range(1, 1001):
            name = f"Extract/job{number:03d}/"
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "job.star").touch()
            (tmp_path / name / "RELION_JOB_EXIT_SUCCESS").touch()
            pipeline.processes[name] = Process(name, "", "relion.extract", "Succeeded")
            pipeline.add_output(name, f"{name}particles.star", "ParticleGroupMetadata.star.relion")
    project = open_project(tmp_path)
    assert len(project.jobs()) == 1000
    assert len(project.nodes("particles")) == 1000
    project.edges()
    assert refresh(project) == []
