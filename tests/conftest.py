"""Fixtures for all tests."""

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from aurefine.optics.groups import OpticsGroup

# no test looks at the clock: the first example may import or compile, and machines are shared
settings.register_profile("aurefine", deadline=None)
settings.load_profile("aurefine")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with shared reference data: AUREFINE_SHARED, else ../shared/data."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUREFINE_SHARED", default))
    if not folder.is_dir():
        pytest.skip(f"no shared data folder at {folder}")
    return folder


@pytest.fixture(scope="session")
def optics_group() -> Callable[..., OpticsGroup]:
    """Function (changes) -> OpticsGroup, at 300 kV unless changed."""

    def make(**changes: Any) -> OpticsGroup:
        values: dict[str, Any] = {
            "number": 1,
            "name": "og",
            "voltage": 300.0,
            "spherical_aberration": 2.7,
            "amplitude_contrast": 0.1,
            "pixel_size": 1.0,
            "box_size": 64,
        }
        return OpticsGroup(**(values | changes))

    return make


@pytest.fixture(scope="session")
def mpirun() -> Callable[[int], list[str]]:
    """Function (n) -> start of a command line that runs a program with n processes."""
    beside = shutil.which("mpirun", path=str(Path(sys.executable).parent))  # of the wheel
    launcher = beside or shutil.which("mpirun")
    if launcher is None or importlib.util.find_spec("mpi4py") is None:
        pytest.skip("needs mpirun and mpi4py")
    # tests may be root, share few cores, and share these with other tests
    always = [launcher, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]
    return lambda n: [*always, "-n", str(n)]


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Heed the signals that a shell ignores in what runs in the background or under nohup."""
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    ignored = [number for number in defaults if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, defaults[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
