"""Reports of jobs: finished, failed, of RELION, and with hostile contents."""

import re
import shutil
from html import unescape

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.io.mrc import write_map
from aurefine.jobs.actions import create_job, mark_job
from aurefine.jobs.job_report import write_folder_report, write_report
from aurefine.jobs.job_types import JOB_TYPES
from aurefine.project import Process, init_project


def text_of(path):
    """Visible text of a page."""
    html = re.sub(r"base64,[^\"]*", "", path.read_text(encoding="utf-8"))
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html[html.index("<h1") :])).split())


@pytest.mark.parametrize(("name", "program"), [("R5", "RELION 5.0.1"), ("R313", "RELION 3.1.3")])
def test_report_of_a_run_of_relion(shared_data, tmp_path, name, program):
    folder = shared_data / "golden" / "refine" / name
    path = write_folder_report(folder, tmp_path / "report.html")
    text = text_of(path)
    assert f"120 particles (box 32 px, 3.54 Å/px) were refined with {program}" in text
    assert "in point group C1" in text
    assert "low-pass filtered at 25 Å" in text
    assert "became as fine as 3.75°, with local searches" in text
    assert "converged after 4 iterations" in text
    html = path.read_text()
    assert html.count("data:image/png;base64,") >= 3
    assert not re.search(r'(?:src|href)\s*=\s*(?!"data:)', html)


def test_report_tells_how_views_sample_space_and_what_that_did_to_the_map(shared_data, tmp_path):
    folder = shared_data / "golden" / "refine" / "R5"
    text = text_of(write_folder_report(folder, tmp_path / "report.html"))
    efficiency = float(re.search(r"orientation efficiency (-?[\d.]+) 1;", text)[1])
    assert 0.5 < efficiency < 1  # 120 views of C1
    assert 0 < float(re.search(r"compensation factor \(SCF\) ([\d.]+)", text)[1]) < 1
    low, high = re.search(r"resolution by direction \(Å\) ([\d.]+) to ([\d.]+)", text).groups()
    assert 2 * 3.54 <= float(low) < float(high)
    assert 0 < float(re.search(r"sphericity ([\d.]+) 1;", text)[1]) <= 1


def test_report_without_half_maps_says_so(shared_data, tmp_path):
    folder = shared_data / "golden" / "refine" / "R313"  # its maps were not kept
    text = text_of(write_folder_report(folder, tmp_path / "report.html"))
    assert "The half maps can not be compared" in text
    assert "run_half1_class001_unfil.mrc" in text


def test_report_warns_of_directions_that_no_particle_sees(shared_data, tmp_path):
    source = shared_data / "golden" / "refine" / "R5"
    for path in source.glob("run*"):
        shutil.copy(path, tmp_path)
    star = (tmp_path / "run_data.star").read_text().splitlines()
    tilt = next(int(x.split("#")[1]) - 1 for x in star if x.startswith("_rlnAngleTilt #"))
    rows = [line.split() for line in star]
    top = [
        " ".join([*row[:tilt], "5.0", *row[tilt + 1 :]]) if len(row) > 12 else line
        for row, line in zip(rows, star, strict=True)
    ]
    (tmp_path / "run_data.star").write_text("\n".join(top) + "\n")
    text = text_of(write_folder_report(tmp_path))
    assert "seen by no particle" in text
    assert float(re.search(r"directions not seen \(%\) ([\d.]+)", text)[1]) > 50


def test_report_of_a_refinement_that_still_runs(shared_data, tmp_path):
    for path in (shared_data / "golden" / "refine" / "R5").glob("run_it*"):
        shutil.copy(path, tmp_path)
    text = text_of(write_folder_report(tmp_path))
    assert "has not converged; after 3 iterations the resolution is 18.88 Å" in text
    assert "Gold-standard FSC of all iterations" in text
    assert "The estimated accuracy of the poses" not in text


def test_report_of_post_processing(shared_data, tmp_path):
    source = shared_data / "golden" / "postprocess" / "out"
    star = next(path for path in sorted(source.rglob("*.star")))
    shutil.copy(star, tmp_path / "postprocess.star")
    text = text_of(write_folder_report(tmp_path))
    assert "falls below 0.143" in text
    assert "FSC between the half maps" in text
    assert "can not" in text or "does not exist" in text  # the map was not copied


def test_report_of_a_job_that_has_not_run(tmp_path):
    project = init_project(tmp_path)
    values = {"fn_img": "p.star", "fn_ref": "r.mrc", "sym_name": "D2"}
    job = create_job(project, JOB_TYPES["refine3d"], values, alias="first")
    text = text_of(write_report(project, "first"))
    assert "Refine3D/job001 first" in text
    assert "3D auto-refine: scheduled" in text
    assert "no complete iteration yet" in text
    assert "Symmetry: D2" in text
    assert (job.folder / "report.html").exists()


def test_report_of_a_failed_job_tells_why(tmp_path):
    project = init_project(tmp_path)
    job = create_job(project, JOB_TYPES["maskcreate"], {"fn_in": "m.mrc"})
    (job.folder / "run.err").write_text("aurefine: error: m.mrc: the image file does not exist.\n")
    mark_job(project, job.name, "Failed")
    text = text_of(write_report(project, job.name))
    assert "Mask creation: failed" in text
    assert "m.mrc: the image file does not exist" in text


def test_report_of_a_map(tmp_path):
    project = init_project(tmp_path)
    values = {"in_3dref": "m.mrc", "new_box": "16"}
    job = create_job(project, JOB_TYPES["rescale"], values)
    write_map(job.folder / "rescaled.mrc", np.ones((16, 16, 16), np.float32), 2.5)
    mark_job(project, job.name, "Succeeded")
    text = text_of(write_report(project, job.name))
    assert "16 × 16 × 16" in text
    assert "pixel size (Å) 2.5" in text


def test_report_of_a_job_that_only_relion_can_run(tmp_path):
    project = init_project(tmp_path)
    name = "Class3D/job001/"
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "job.star").write_text(
        "data_job\n\n_rlnJobType 9\n_rlnJobIsContinue 0\n\ndata_joboptions_values\n\nloop_\n"
        "_rlnJobOptionVariable #1\n_rlnJobOptionValue #2\nnr_classes 4\n"
    )
    with project.edit("x") as pipeline:
        pipeline.processes[name] = Process(name, "", "relion.class3d", "Succeeded")
    text = text_of(write_report(project, name))
    assert "relion.class3d: succeeded" in text
    assert "nr_classes 4" in text


def test_hostile_files_do_no_harm(tmp_path):
    project = init_project(tmp_path)
    hostile = "<script>x</script>.mrc"
    job = create_job(project, JOB_TYPES["maskcreate"], {"fn_in": hostile})
    (job.folder / "run.out").write_bytes(b"</pre><script>alert(1)</script>\xff\x00\x1b[2J" * 300)
    (job.folder / "mask.mrc").write_bytes(b"<script>")
    mark_job(project, job.name, "Succeeded")
    html = write_report(project, job.name).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;x&lt;/script&gt;.mrc" in html


def test_command_writes_the_report_of_a_job_or_of_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["project", "init"]) == 0
    assert run_command(["job", "new", "maskcreate", "--set", "fn_in=m.mrc"]) == 0
    assert run_command(["report", "1", "--o", "r.html"]) == 0
    assert (tmp_path / "r.html").exists()
    (tmp_path / "some").mkdir()
    assert run_command(["report", "some"]) == 0
    assert (tmp_path / "some" / "report.html").exists()
    assert run_command(["report", "nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
