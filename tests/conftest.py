"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with shared reference data: AUREFINE_SHARED, else ../shared/data."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUREFINE_SHARED", default))
    if not folder.is_dir():
        pytest.skip(f"no shared data folder at {folder}")
    return folder
