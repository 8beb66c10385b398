"""A project with some files, and a browser's side of the server, signed in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the web application needs aurefine[gui]")
pytest.importorskip("httpx2", reason="the test client needs httpx2")

from starlette.testclient import TestClient

from aurefine.gui.app import build_app
from aurefine.gui.security import Access
from aurefine.io import write_map
from aurefine.project import init_project

ORIGIN = "http://127.0.0.1:8000"


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
    return Access()


@pytest.fixture
def connect(project: Path, access: Access) -> Iterator[Callable[[], TestClient]]:
    """Function that returns a browser without a session."""
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
