"""What the server says of files, jobs and refinements; and that it says so soon."""

import json
import os
import time

import numpy as np
import pytest

from aurefine.gui.stages import read_stage, tail_text, warnings_of
from aurefine.io import read_map, write_map
from aurefine.jobs.schedule import unschedule_jobs
from aurefine.project import Process, open_project

RUN_OUT = """\
 Auto-refine: Iteration= 3
 Auto-refine: Resolution= 20.1 (no gain for 0 iter)
 Estimating accuracies in the orientational assignment ...
 Auto-refine: Estimated accuracy angles= 2.1 degrees; offsets= 1.4 Angstroms
 Expectation iteration 3
............................................................ 12 sec
 Averaging half-reconstructions up to 40 Angstrom resolution to prevent diverging orientations ...
 Calculating gold-standard FSC ...
 Maximization...
 Summary: iteration 3: resolution 18.20 A; changes 2.00 deg, 1.00 A; size 40 of 64 px; 14.0 s
 Auto-refine: Iteration= 4
 Expectation iteration 4
"""


@pytest.fixture
def refinement(project):
    """A running refinement of two iterations, as its files tell it."""
    name = "Refine3D/job001/"
    folder = project / name
    folder.mkdir(parents=True)
    with open_project(project).edit("test") as pipeline:
        pipeline.processes[name] = Process(name, "", "relion.refine3d", "Running")
    for iteration in (1, 2):
        write_iteration(folder, iteration)
    (folder / "run.out").write_text(RUN_OUT)
    (folder / "run.err").write_text("WARNING: something odd\n")
    return folder


def write_iteration(folder, iteration):
    stem = folder / f"run_it{iteration:03d}"
    values = {
        "rlnAdaptiveOversampleOrder": 1,
        "rlnCurrentIteration": iteration,
        "rlnOverallAccuracyRotations": 999 if iteration == 1 else 2.5,
        "rlnOverallAccuracyTranslationsAngst": 999 if iteration == 1 else 1.5,
        "rlnChangesOptimalOrientations": 9.0 / iteration,
        "rlnChangesOptimalOffsets": 3.0 / iteration,
    }
    model = {
        "rlnCurrentResolution": 40.0 / iteration,
        "rlnPixelSize": 3.54,
        "rlnCurrentImageSize": 32,
        "rlnOrientationalPriorMode": 0,
        "rlnAveragePmax": 0.5,
    }
    sampling = {"rlnHealpixOrder": 2, "rlnOffsetStep": 4.0, "rlnOffsetRange": 10.0}
    sampling["rlnSymmetryGroup"] = "D2"
    fsc = np.linspace(1, 0, 33) ** (3 - iteration)
    write_list(f"{stem}_sampling.star", "sampling_general", sampling)
    rows = "".join(f"{shell} {value:.6f}\n" for shell, value in enumerate(fsc))
    write_list(f"{stem}_half1_model.star", "model_general", model)
    with open(f"{stem}_half1_model.star", "a") as stream:
        stream.write("\ndata_model_class_1\n\nloop_\n_rlnSpectralIndex #1\n")
        stream.write(f"_rlnGoldStandardFsc #2\n{rows}\n")
    angles = np.random.default_rng(iteration).uniform(-180, 180, (50, 2))
    with open(f"{stem}_data.star", "w") as stream:
        stream.write("data_particles\n\nloop_\n_rlnAngleRot #1\n_rlnAngleTilt #2\n")
        stream.writelines(f"{rot:.3f} {abs(tilt):.3f}\n" for rot, tilt in angles)
    for half in (1, 2):
        write_map(f"{stem}_half{half}_class001.mrc", np.ones((8, 8, 8), np.float32), 3.54)
    write_list(f"{stem}_optimiser.star", "optimiser_general", values)


def write_list(path, block, values):
    lines = [f"_{label} {value}" for label, value in values.items()]
    with open(path, "w") as stream:
        stream.write("\n".join([f"data_{block}", "", *lines, ""]))


def test_progress_lists_iterations_curves_and_newest_maps(browser, refinement):
    found = browser.get("/api/refinement/progress", job="Refine3D/job001/")
    assert [row["iteration"] for row in found["history"]] == [1, 2]
    assert found["history"][0]["accuracy_angles"] is None  # 999 means unknown
    assert found["history"][1]["accuracy_angles"] == 2.5
    assert found["history"][1]["angular_step"] == 7.5
    assert len(found["fsc"][1]) == 33
    assert found["history"][1]["shell_width"] == pytest.approx(1 / (64 * 3.54))
    assert found["files"]["half1"] == "run_it002_half1_class001.mrc"
    assert found["warnings"] == ["WARNING: something odd"]


def test_new_iteration_is_seen(browser, refinement):
    browser.get("/api/refinement/progress", job="1")
    write_iteration(refinement, 3)
    found = browser.get("/api/refinement/progress", job="1")
    assert [row["iteration"] for row in found["history"]] == [1, 2, 3]


def test_damaged_iteration_is_left_out(browser, refinement):
    (refinement / "run_it001_half1_model.star").write_text("data_model_general\n")
    found = browser.get("/api/refinement/progress", job="1")
    assert [row["iteration"] for row in found["history"]] == [2]


def test_directions_count_every_particle_once(browser, refinement):
    found = browser.get("/api/refinement/directions", job="1")
    assert found["symmetry"] == "D2"
    assert np.sum(found["counts"]) == pytest.approx(50, abs=0.1)


def test_event_follows_a_change_of_a_file(project, refinement, serve):
    import urllib.request

    server = serve(project)
    link = server.link()
    base = link.split("/?")[0]
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    opener.open(link).read()
    with opener.open(f"{base}/api/events?job=Refine3D/job001/", timeout=30) as stream:
        assert next_event(stream) == ("hello", {})
        with (refinement / "run.out").open("a") as log:
            log.write(".....")
        name, data = next_event(stream)
        assert (name, data["changed"]) == ("files", ["run.out"])
        (refinement / "RELION_JOB_EXIT_SUCCESS").touch()
        names = {next_event(stream)[0], next_event(stream)[0]}
        assert names == {"files", "project"}
    assert open_project(project).job("1").status == "Succeeded"


def next_event(stream):
    name = ""
    for line in stream:
        if line.startswith(b"event:"):
            name = line[6:].strip().decode()
        elif line.startswith(b"data:"):
            return name, json.loads(line[5:])
    raise AssertionError("the stream has ended")


def test_stage_of_a_search_with_half_its_dots():
    stage = read_stage(RUN_OUT + "." * 30, time.time() - 10)
    assert (stage.iteration, stage.name, stage.fraction) == (4, "searching poses", 0.5)
    assert stage.seconds_left == pytest.approx(10, abs=1)
    assert stage.last_seconds == 14.0


def test_stage_after_the_search():
    lines = RUN_OUT.splitlines()
    stage = read_stage("\n".join(lines[:9]))
    assert (stage.name, stage.fraction) == ("reconstructing", 1.0)
    assert read_stage("\n".join(lines[:3])).name == "estimating accuracies"
    assert read_stage("").name == "starting"


def test_tail_starts_at_a_line(tmp_path):
    (tmp_path / "log").write_text("first\nsecond\nthird\n")
    assert tail_text(tmp_path / "log", 10) == "third\n"
    assert tail_text(tmp_path / "absent") == ""


def test_warnings_come_once():
    out = " WARNING: a\n fine\n WARNING: a\n"
    assert warnings_of(out, "broken\n") == ["WARNING: a", "broken"]


def test_warning_over_several_lines_is_one():
    out = " Auto: WARNING: a\n Auto: WARNING: b\n SEVERE WARNING: c\n fine\n Auto: WARNING: d\n"
    assert warnings_of(out, "") == ["Auto: WARNING: a b", "SEVERE WARNING: c", "Auto: WARNING: d"]


def test_map_facts_and_volume(client, browser, project):
    facts = browser.get("/api/files/map", path="data/map.mrc")
    values, _ = read_map(project / "data" / "map.mrc")
    assert facts["box"] == [16, 16, 16]
    assert facts["pixel_size"] == 2.0
    assert facts["deviation"] == pytest.approx(float(values.std()), rel=1e-5)
    assert sum(facts["histogram"]) == values.size
    response = client.get("/api/files/volume", params={"path": "data/map.mrc"})
    small = np.frombuffer(response.content, np.float16).reshape(16, 16, 16)
    scale = float(response.headers["x-scale"])
    assert np.allclose(small * scale, values, atol=0.01)


def test_large_map_is_averaged_for_the_surface(client, project):
    values = np.zeros((150, 150, 150), np.float32)
    values[:2, :2, :2] = 8.0
    write_map(project / "data" / "large.mrc", values, 1.0)
    response = client.get("/api/files/volume", params={"path": "data/large.mrc"})
    assert response.headers["x-shape"] == "75,75,75"
    assert float(response.headers["x-pixel-size"]) == 2.0
    small = np.frombuffer(response.content, np.float16).reshape(75, 75, 75)
    assert small[0, 0, 0] * float(response.headers["x-scale"]) == pytest.approx(8.0, rel=1e-3)
    assert not small[1:].any()


def test_slice_is_a_picture_with_y_upwards(client, project):
    import io

    from PIL import Image

    values = np.zeros((8, 8, 8), np.float32)
    values[4, 7, 0] = 1.0  # z, y, x
    write_map(project / "data" / "dot.mrc", values, 1.0)
    query = {"path": "data/dot.mrc", "axis": 0, "index": 4}
    response = client.get("/api/files/slice", params=query)
    image = np.asarray(Image.open(io.BytesIO(response.content)))
    assert np.argwhere(image == image.max()).tolist() == [[0, 0]]


def test_file_that_is_no_map_has_a_message(client):
    response = client.get("/api/files/map", params={"path": "data/note.txt"})
    assert response.status_code == 400
    assert "not an MRC file" in response.json()["error"]


def test_particles_show_images_and_values(browser, project):
    stack = np.random.default_rng(0).normal(size=(5, 16, 16)).astype(np.float32)
    write_map(project / "data" / "stack.mrcs", stack, 2.0)
    rows = "".join(f"{n:06d}@data/stack.mrcs {10000 + n}.0\n" for n in range(1, 6))
    text = f"data_particles\n\nloop_\n_rlnImageName #1\n_rlnDefocusU #2\n{rows}"
    (project / "data" / "particles.star").write_text(text)
    found = browser.get("/api/files/particles", path="data/particles.star", start=1, count=2)
    assert (found["start"], found["total"], found["tile"]) == (1, 5, 16)
    assert [values["rlnDefocusU"] for values in found["particles"]] == ["10002.0", "10003.0"]
    assert found["picture"].startswith("data:image/png;base64,")
    assert found["problem"] == ""


def test_particle_outside_the_project_is_not_read(browser, project):
    stack = np.zeros((1, 16, 16), np.float32)
    write_map(project.parent / "stack.mrcs", stack, 2.0)
    text = "data_particles\n\nloop_\n_rlnImageName #1\n000001@../stack.mrcs\n"
    (project / "data" / "particles.star").write_text(text)
    found = browser.get("/api/files/particles", path="data/particles.star")
    assert "only names below the project folder" in found["problem"]


def test_form_of_every_type_has_its_tabs_and_help(browser):
    types = {found["name"]: found for found in browser.get("/api/types")["types"]}
    tabs = [tab["title"] for tab in types["refine3d"]["tabs"]]
    for title in ("I/O", "Reference", "CTF", "Optimisation", "Auto-sampling", "Compute", "Running"):
        assert title in tabs
    for found in types.values():
        for tab in found["tabs"]:
            assert all(field["help"] and field["label"] for field in tab["fields"])


def test_command_is_shown_once_the_form_is_complete(browser):
    values = {"fn_in": "data/map.mrc", "lowpass_filter": "x"}
    answer = browser.post("/api/check", type="maskcreate", values=values)
    assert [problem["key"] for problem in answer["problems"]] == ["lowpass_filter"]
    assert answer["command"] == ""
    values["lowpass_filter"] = "20"
    answer = browser.post("/api/check", type="maskcreate", values=values)
    assert answer["problems"] == []
    assert answer["command"].startswith("aurefine mask --i data/map.mrc --o MaskCreate/job001/")


def test_missing_input_is_a_warning(browser):
    values = {"fn_in": "data/later.mrc"}
    answer = browser.post("/api/check", type="maskcreate", values=values)
    problem = answer["problems"][0]
    assert (problem["key"], problem["is_error"]) == ("fn_in", False)
    assert answer["command"]


def test_scheduled_job_appears_in_list_and_flow_chart(browser):
    values = {"fn_in": "data/map.mrc"}
    first = browser.post("/api/jobs", type="maskcreate", values=values, action="schedule")["job"]
    values = {"in_3dref": f"{first}mask.mrc", "new_box": "8"}
    second = browser.post("/api/jobs", type="rescale", values=values, action="schedule")["job"]
    found = browser.get("/api/jobs")
    assert [(job["name"], job["status"]) for job in found["jobs"]] == [
        (first, "Scheduled"),
        (second, "Scheduled"),
    ]
    assert found["edges"] == [[first, second]]
    assert found["jobs"][0]["used_by"] == [second]


def test_a_scheduled_job_starts_after_the_one_that_it_needs(browser):
    """Nobody presses Run for the second job."""
    values = {"fn_in": "data/map.mrc", "inimask_threshold": "0.1"}
    first = browser.post("/api/jobs", type="maskcreate", values=values)["job"]
    values = {"in_3dref": f"{first}mask.mrc", "new_box": "8"}
    answer = browser.post("/api/jobs", type="rescale", values=values, action="schedule")
    assert "Starts by itself after" in answer["note"]
    browser.post("/api/job/run", job=first)
    end = time.monotonic() + 120
    states = []
    while time.monotonic() < end:
        states = [job["status"] for job in browser.get("/api/jobs")["jobs"]]
        if "Scheduled" not in states and "Running" not in states:
            break
        time.sleep(0.5)
    assert states == ["Succeeded", "Succeeded"]


def test_clone_starts_from_the_settings_of_the_job(browser):
    values = {"fn_in": "data/map.mrc", "extend_inimask": "7"}
    name = browser.post("/api/jobs", type="maskcreate", values=values)["job"]
    form = browser.get("/api/form", **{"type": "maskcreate", "from": name})
    assert form["values"]["extend_inimask"] == "7"


def test_job_that_can_not_start_stays_with_a_warning(browser):
    values = {"fn_in": "data/later.mrc"}
    answer = browser.post("/api/jobs", type="maskcreate", values=values, action="run")
    assert "there is no file 'data/later.mrc'" in answer["warning"]
    assert browser.get("/api/jobs")["jobs"][0]["status"] == "Scheduled"


def test_unknown_option_is_refused(client):
    body = {"type": "maskcreate", "values": {"evil": "1"}}
    response = client.post("/api/jobs", json=body, headers={"Origin": "http://127.0.0.1:8000"})
    assert response.status_code == 400
    assert "evil" in response.json()["error"]


def test_nodes_come_by_kind(browser):
    values = {"fn_in": "data/map.mrc"}
    browser.post("/api/jobs", type="maskcreate", values=values)
    nodes = browser.get("/api/nodes", kinds="mask")["nodes"]
    assert [node["path"] for node in nodes] == ["MaskCreate/job001/mask.mrc"]
    assert not nodes[0]["exists"]


def test_listing_sorts_folders_first_and_numbers_in_order(browser, project):
    for name in ("job10", "job9", "a.txt"):
        path = project / "data" / name
        path.mkdir() if name.startswith("job") else path.touch()
    names = [entry["name"] for entry in browser.get("/api/files/entries", path="data")["entries"]]
    assert names == ["job9", "job10", "a.txt", "map.mrc", "note.txt"]


def test_server_needs_permission_for_other_addresses(project, access):
    from aurefine.errors import OptionError
    from aurefine.gui.command import run

    with pytest.raises(OptionError, match="--allow_network"):
        run(["--project", str(project), "--host", "0.0.0.0"])


def test_folder_without_a_project_is_refused(tmp_path, access):
    from aurefine.errors import OptionError
    from aurefine.gui.command import run

    with pytest.raises(OptionError, match="aurefine project init"):
        run(["--project", str(tmp_path)])
    assert not os.listdir(tmp_path)


def test_start_prints_a_link_and_the_line_for_a_tunnel(project, serve):
    server = serve(project)
    link = server.link()
    text = server.log.read_text()
    port = link.split(":")[2].split("/")[0]
    assert link.startswith("http://127.0.0.1:")
    assert f"ssh -N -L {port}:127.0.0.1:{port}" in text


def test_running_job_without_a_process_can_be_marked(browser, refinement):
    assert "mark" in browser.get("/api/jobs")["jobs"][0]["actions"]
    browser.post("/api/job/mark", job="Refine3D/job001/", status="Failed")
    assert browser.get("/api/jobs")["jobs"][0]["status"] == "Failed"


def test_job_without_settings_still_shows_its_files(browser, refinement):
    found = browser.get("/api/job/settings", job="1")
    assert found["values"] == {}
    assert "job.star" in found["problem"]


def test_continued_form_starts_from_the_newest_iteration(browser, project):
    values = {"fn_img": "data/p.star", "fn_ref": "data/map.mrc", "sym_name": "D2"}
    name = browser.post("/api/jobs", type="refine3d", values=values)["job"]
    for iteration in (1, 2):
        write_iteration(project / name, iteration)
    form = browser.get("/api/form", **{"type": "refine3d", "from": name, "continue": "1"})
    assert form["values"]["fn_cont"] == f"{name}run_it002_optimiser.star"
    answer = browser.post(
        "/api/check",
        **{"type": "refine3d", "values": form["values"], "job": name, "continue": True},
    )
    assert f"--continue {name}run_it002_optimiser.star --o {name}run" in answer["command"]
    assert "--sym" not in answer["command"]
    unschedule_jobs(open_project(project), [name])  # or its scheduler waits for the input


def test_server_ends_at_once_with_a_browser_open(project, serve):
    import urllib.request

    server = serve(project)
    link = server.link()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    opener.open(link).read()
    with opener.open(link.split("/?")[0] + "/api/events", timeout=30) as stream:
        next_event(stream)
        server.stop()
    assert server.process.returncode == 0
    assert "rror" not in server.log.read_text()


def test_message_names_the_extra_if_the_web_packages_are_missing(project, monkeypatch):
    import importlib.util

    from aurefine.errors import OptionError
    from aurefine.gui.command import run

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name)
    )
    with pytest.raises(OptionError, match=r"needs uvicorn: pip install 'aurefine\[gui\]'"):
        run(["--project", str(project)])
