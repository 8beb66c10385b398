"""Who is let in, what leaves the project folder, and what a hostile page or file can do."""

import json
import os

import pytest

from aurefine.project import Process, open_project

ORIGIN = "http://127.0.0.1:8000"
API = ("/api/jobs", "/api/types", "/api/files/entries", "/api/events", "/api/project")
WAYS_OUT = (
    "../secret.txt",
    "data/../../secret.txt",
    "data/../../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "~/secret.txt",
    "data/\0/../../secret.txt",
    "..",
    "link_out/secret.txt",
    "secret_link.txt",
)
READERS = (
    "/api/files/download",
    "/api/files/show",
    "/api/files/text",
    "/api/files/blocks",
    "/api/files/rows?block=0&start=0",
    "/api/files/particles",
    "/api/files/map",
    "/api/files/slice?axis=0&index=0",
    "/api/files/volume",
    "/api/files/entries",
)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def secrets(project):
    """A file beside the project, and links that lead to it."""
    (project.parent / "secret.txt").write_text("the secret\n")
    (project / "link_out").symlink_to(project.parent)
    (project / "secret_link.txt").symlink_to("../secret.txt")
    return project


@pytest.mark.parametrize("path", API)
def test_nobody_is_let_in_without_a_session(connect, path):
    assert connect().get(path).status_code == 401


def test_page_without_a_session_shows_nothing_of_the_project(connect, project):
    response = connect().get("/")
    assert response.status_code == 401
    assert str(project) not in response.text


def test_wrong_token_is_refused(connect, access):
    client = connect()
    assert client.get("/", params={"token": "x" * len(access.token)}).status_code == 401
    assert client.get("/api/jobs").status_code == 401


def test_link_works_once(connect, access):
    token = access.token
    assert connect().get("/", params={"token": token}).status_code == 200
    assert connect().get("/", params={"token": token}).status_code == 401


def test_guessed_cookie_is_refused(connect):
    client = connect()
    client.cookies.set("aurefine", "guess")
    assert client.get("/api/jobs").status_code == 401


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(connect, access):
    response = connect().get("/", params={"token": access.token})
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_two_browsers_have_sessions_of_their_own(connect, access):
    first, second = connect(), connect()
    first.get("/", params={"token": access.token})
    second.get("/", params={"token": access.token})
    assert first.cookies["aurefine"] != second.cookies["aurefine"]
    assert first.get("/api/jobs").status_code == second.get("/api/jobs").status_code == 200


@pytest.mark.parametrize("host", ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"))
def test_rebound_name_is_refused(client, host):
    assert client.get("/api/jobs", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ("localhost:9000", "127.0.0.1:9000", "[::1]:9000"))
def test_tunnel_with_another_port_works(client, host):
    assert client.get("/api/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    ),
    ids=("other site", "no site", "other port", "no origin", "browser says cross-site"),
)
def test_changes_from_other_sites_are_refused(client, project, headers):
    body = {"type": "maskcreate", "values": {"fn_in": "data/map.mrc"}}
    assert client.post("/api/jobs", json=body, headers=headers).status_code == 403
    assert not open_project(project).jobs()


def test_form_of_another_site_is_refused(client, project):
    # what a page can send without asking: a form or plain text
    headers = {"Origin": ORIGIN, "Content-Type": "text/plain"}
    body = json.dumps({"type": "maskcreate", "values": {"fn_in": "data/map.mrc"}})
    assert client.post("/api/jobs", content=body, headers=headers).status_code == 415
    assert not open_project(project).jobs()


def test_changes_need_post(client):
    assert client.get("/api/job/delete", params={"job": "1"}).status_code == 405


def test_page_allows_no_foreign_scripts_and_no_frames(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("reader", READERS)
def test_no_path_leads_out_of_the_project(client, secrets, reader):
    for path in WAYS_OUT:
        response = client.get(reader, params={"path": path})
        assert response.status_code in (403, 404), path
        assert "the secret" not in response.text, path
        assert "root:" not in response.text, path


def test_static_files_do_not_lead_out_of_the_package(client):
    for path in ("../app.py", "%2e%2e/app.py", "..%2fapp.py", "vendor/../../app.py"):
        assert "build_app" not in client.get(f"/static/{path}").text


def test_links_inside_the_project_work(client, project):
    (project / "alias").symlink_to("data")
    response = client.get("/api/files/text", params={"path": "alias/note.txt"})
    assert response.json()["text"] == "hello\n"


def test_job_name_can_not_be_a_path(client, secrets):
    for path in ("/api/refinement/progress", "/api/results", "/api/job/settings"):
        response = client.get(path, params={"job": "../"})
        assert response.status_code == 400
        assert "no job" in response.json()["error"]


def test_links_in_a_job_folder_do_not_lead_out(client, secrets):
    name = "Refine3D/job001/"
    folder = secrets / name
    folder.mkdir(parents=True)
    with open_project(secrets).edit("test") as pipeline:
        pipeline.processes[name] = Process(name, "", "relion.refine3d", "Running")
        pipeline.add_output(name, f"{name}run_class001.mrc", "DensityMap.mrc")
    for file in ("run.out", "run.err", "note.txt", "job.star", "run_class001.mrc"):
        (folder / file).symlink_to(secrets.parent / "secret.txt")
    for ending in ("optimiser", "half1_model", "sampling", "data"):
        (folder / f"run_it001_{ending}.star").symlink_to(secrets.parent / "secret.txt")
    for path in (
        "/api/refinement/progress",
        "/api/refinement/directions",
        "/api/results",
        "/api/job/settings",
    ):
        response = client.get(path, params={"job": name})
        assert response.status_code == 200, path
        assert "secret\n" not in response.text, path
        assert "the secret" not in response.text, path


def test_pipe_is_not_opened(client, project):
    os.mkfifo(project / "pipe.txt")
    assert client.get("/api/files/text", params={"path": "pipe.txt"}).status_code == 404


@pytest.mark.parametrize("key", ("fn_in", "other_args", "inimask_threshold"))
def test_field_of_ten_megabytes_is_refused(client, project, key):
    body = {"type": "maskcreate", "values": {key: "x" * 10_000_000}}
    response = client.post("/api/jobs", json=body, headers={"Origin": ORIGIN})
    assert response.status_code == 413
    assert not open_project(project).jobs()


def test_body_without_a_length_is_counted(client):
    from aurefine.gui.security import BODY_LIMIT

    def pieces():
        for _ in range(BODY_LIMIT // 65536 + 2):
            yield b" " * 65536

    headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
    assert client.post("/api/check", content=pieces(), headers=headers).status_code == 413


@pytest.mark.parametrize("body", (b"", b"[]", b"{", b"null", b"[" * 100_000, b"\xff"))
def test_malformed_body_is_answered(client, body):
    headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
    response = client.post("/api/check", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize("text", ("x; touch hacked", "$(touch hacked)", "`touch hacked`", "a\nb"))
def test_field_is_never_given_to_a_shell(browser, project, text):
    values = {"fn_in": text, "lowpass_filter": "15"}
    answer = browser.post("/api/check", type="maskcreate", values=values)
    assert not (project / "hacked").exists()
    if "\n" in text:
        assert [problem["key"] for problem in answer["problems"]] == ["fn_in"]
    else:
        assert f"--i '{text}'" in answer["command"]  # one quoted word


def test_hostile_file_name_is_listed_as_text(browser, client, project):
    (project / "data" / HOSTILE).write_text("x")
    response = client.get("/api/files/entries", params={"path": "data"})
    assert response.headers["content-type"] == "application/json"
    assert HOSTILE in [entry["name"] for entry in response.json()["entries"]]
    assert browser.get("/api/files/text", path=f"data/{HOSTILE}")["text"] == "x"


def test_file_name_that_is_no_text_is_listed_but_not_offered(browser, project):
    with open(os.fsencode(project / "data") + b"/bad\xff.star", "wb"):
        pass
    entries = {
        entry["name"]: entry for entry in browser.get("/api/files/entries", path="data")["entries"]
    }
    assert not entries["bad?.star"]["usable"]


def test_hostile_star_contents_stay_text(browser, project):
    text = f'data_{HOSTILE.split()[0]}\n\nloop_\n_rlnMicrographName #1\n"{HOSTILE}"\n'
    (project / "data" / "hostile.star").write_text(text)
    page = browser.get("/api/files/rows", path="data/hostile.star", block=0, start=0)
    assert page["rows"] == [[HOSTILE]]


def test_download_is_never_shown_as_a_page(client, project):
    (project / "data" / "page.html").write_text("<script>alert(1)</script>")
    response = client.get("/api/files/download", params={"path": "data/page.html"})
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_html_of_the_project_is_shown_in_a_sandbox(client, project):
    (project / "data" / "page.html").write_text("<script>alert(1)</script>")
    response = client.get("/api/files/show", params={"path": "data/page.html"})
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy


def test_other_kinds_of_files_are_not_shown(client, project):
    (project / "data" / "page.svg").write_text("<svg onload='alert(1)'/>")
    assert client.get("/api/files/show", params={"path": "data/page.svg"}).status_code == 400


def test_defect_does_not_show_where_files_are(client, monkeypatch, capsys, project):
    def fail(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr("aurefine.gui.star_pages.StarPages.outlines", fail)
    response = client.get("/api/files/blocks", params={"path": "data/note.txt"})
    assert response.status_code == 500
    assert str(project) not in response.text
    assert "Traceback" in capsys.readouterr().err
