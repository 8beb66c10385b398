"""A project with some files; the server, alone and as a process; a client and a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from aurefine.io import write_map
from aurefine.project import init_project

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from aurefine.gui.security import Access

ORIGIN = "http://127.0.0.1:8000"
ARTEFACTS = Path(os.environ.get("AUREFINE_ARTEFACTS", Path(__file__).parents[2] / "artefacts"))
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
_LINK = re.compile(r"http://\S+\?token=\S+")


def _find_chromium() -> str:
    """Return the path of the browser, or skip the test."""
    for name in (os.environ.get("AUREFINE_CHROMIUM", ""), *NAMES):
        path = shutil.which(name) if name else None
        if path:
            return path
    pytest.skip("no Chromium on this machine: apt-get install chromium")


class Server:
    """`aurefine gui` as a process of its own."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.log = project.parent / "server.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.log.write_bytes(b"")
        command = [sys.executable, "-m", "aurefine", "gui", "--project", str(self.project)]
        with self.log.open("ab") as stream:
            return subprocess.Popen(command, stdout=stream, stderr=stream)

    def link(self) -> str:
        """Return the newest link, once it has been printed."""
        for _ in range(600):
            found = _LINK.findall(self.log.read_text())
            if found:
                return str(found[-1])
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError("no link was printed")

    def kill(self) -> None:
        """End the process without a chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Start a new process on the same project."""
        self.process = self._start()

    def stop(self) -> None:
        """End the process as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def _browsing() -> Iterator[Callable[..., Page]]:
    """Give a function (server, width, height, dark) that opens a page in a browser of its own."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_find_chromium(), args=FLAGS)
        pages: list[Page] = []

        def open_page(
            server: Server, width: int = 1280, height: int = 720, dark: bool = False
        ) -> Page:
            context = chromium.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                accept_downloads=True,
            )
            page = Page(context.new_page(), server)
            pages.append(page)
            page.sign_in()
            return page

        try:
            yield open_page
            for page in pages:
                assert not page.problems
        finally:
            chromium.close()


class Page:
    """What a user does with the page."""

    def __init__(self, tab: Any, server: Server) -> None:
        self.tab = tab
        self.server = server
        self.problems: list[str] = []
        tab.set_default_timeout(60_000)
        tab.on("pageerror", lambda error: self.problems.append(str(error)))
        tab.on("console", self._note)

    def _note(self, message: Any) -> None:
        # a request that fails is shown to the user; what breaks the policy or a script is a defect
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def sign_in(self) -> None:
        """Open the newest link."""
        self.tab.goto(self.server.link())
        self.tab.wait_for_selector("html[data-ready=yes]")

    def go(self, hash_: str) -> None:
        """Follow a link inside the page."""
        self.tab.evaluate("hash => { location.hash = hash }", hash_)

    def picture(self, name: str, *, whole: bool = False) -> None:
        """Keep a screenshot; `whole` makes the window as tall as the page."""
        ARTEFACTS.mkdir(exist_ok=True)
        size = self.tab.viewport_size
        if whole:
            height = self.tab.evaluate("document.querySelector('.page').scrollHeight + 46")
            self.tab.set_viewport_size({"width": size["width"], "height": int(height)})
            self.tab.wait_for_timeout(1500)
        self.tab.screenshot(path=str(ARTEFACTS / f"{name}.png"))
        if whole:
            self.tab.set_viewport_size(size)

    def new_job(self, title: str) -> None:
        """Choose a job type on the left."""
        menu = self.tab.get_by_role("button", name="Jobs", exact=True)
        if menu.is_visible():
            menu.click()
        self.tab.locator("#side .type", has_text=title).click()
        self.wait_for_form(title)

    def wait_for_form(self, title: str) -> None:
        """Wait until the form of a job type has been filled and checked."""
        self.tab.locator(".form-page[data-checked]", has_text=title).wait_for()
        self.tab.locator("h1", has_text=title).wait_for()

    def fill(self, fields: Mapping[str, Mapping[str, str]]) -> None:
        """Fill in fields by tab and label."""
        for tab, values in fields.items():
            self.tab.get_by_role("tab", name=tab, exact=True).click()
            for label, value in values.items():
                self._fill_one(self.tab.get_by_label(label, exact=True), value)

    def _fill_one(self, field: Any, value: str) -> None:
        kind = field.evaluate("element => element.getAttribute('role') || element.tagName")
        if kind == "switch":
            if field.inner_text().strip() != value:
                field.click()
        elif kind == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)

    def browse(self, label: str, name: str) -> None:
        """Choose a file in the Browse dialog by (part of) its name."""
        self.tab.get_by_role("button", name=f"Browse: {label}").click()
        dialog = self.tab.get_by_role("dialog")
        dialog.get_by_label("Filter by name").fill(name)
        dialog.locator(".browse-row:not(.faint)", has_text=name).first.click()
        dialog.get_by_role("button", name="Choose").click()
        dialog.wait_for(state="detached")

    def start(self, action: str = "Run", alias: str = "") -> str:
        """Press Run or Schedule; return the name of the job."""
        if alias:
            self.tab.get_by_label("Alias").fill(alias)
        button = self.tab.locator(".form-foot").get_by_role("button", name=action, exact=True)
        button.click()  # which waits until it is enabled
        self.tab.wait_for_selector(".job-page")
        return str(self.tab.locator(".page-head .path").inner_text())

    def wait_for_surface(self, path: str = "") -> None:
        """Scroll to the (first) 3D surface and wait until it shows a map."""
        surface = self.tab.locator(".surface-view").first
        surface.scroll_into_view_if_needed()
        value = f"='{path}'" if path else ""
        self.tab.wait_for_selector(f".surface-view[data-drawn{value}]")
        self.tab.locator("#main").evaluate("element => { element.scrollTop = 0 }")

    def write_report(self) -> str:
        """Press Report; return the path of the file once its tab has opened."""
        with self.tab.context.expect_page() as opened:
            self.tab.get_by_role("button", name="Report", exact=True).click()
        opened.value.wait_for_url("**/api/files/show?**")
        opened.value.screenshot(path=str(ARTEFACTS / "workflow_report.png"))
        path = str(parse_qs(urlsplit(opened.value.url).query)["path"][0])
        opened.value.close()
        return path

    def wait_for_state(self, state: str, seconds: float) -> None:
        """Wait until the page itself shows that the job has got there."""
        badge = self.tab.locator(".page-head .badge", has_text=state)
        badge.wait_for(timeout=seconds * 1000)


class Browser:
    """One browser: its cookies, and the headers that it sends."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, address: str, /, **values: Any) -> Any:
        """Ask for JSON that must come."""
        response = self.client.get(address, params=values)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, address: str, /, **values: Any) -> Any:
        """Send JSON as our own page does."""
        response = self.client.post(address, json=values, headers={"Origin": ORIGIN})
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    init_project(folder)
    (folder / "data").mkdir()
    (folder / "data" / "note.txt").write_text("hello\n")
    volume = np.random.default_rng(1).normal(size=(16, 16, 16)).astype(np.float32)
    write_map(folder / "data" / "map.mrc", volume, 2.0)
    return folder


@pytest.fixture
def access() -> Access:
    pytest.importorskip("starlette", reason="the web application needs aurefine[gui]")
    from aurefine.gui.security import Access

    return Access()


@pytest.fixture
def connect(project: Path, access: Access) -> Iterator[Callable[[], TestClient]]:
    """Function that returns a browser without a session."""
    pytest.importorskip("httpx2", reason="the test client needs httpx2")
    from starlette.testclient import TestClient

    from aurefine.gui.app import build_app

    app = build_app(project, access)
    clients = []

    def make() -> TestClient:
        client = TestClient(app, base_url=ORIGIN, raise_server_exceptions=False)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[[], TestClient], access: Access) -> TestClient:
    """A browser that has opened the printed link."""
    found = connect()
    assert found.get("/", params={"token": access.token}).status_code == 200
    return found


@pytest.fixture
def browser(client: TestClient) -> Browser:
    return Browser(client)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], Server]]:
    """Function that starts a server on a project."""
    for name in ("starlette", "uvicorn"):
        pytest.importorskip(name, reason="the web application needs aurefine[gui]")
    servers = []

    def start(project: Path) -> Server:
        servers.append(Server(project))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def open_page() -> Iterator[Callable[..., Page]]:
    """Function (server, width, height, dark) that opens a page in a browser of its own."""
    with _browsing() as open_page:
        yield open_page
