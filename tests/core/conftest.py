"""mypy runs on another core beside the tests, which take longer than it does.

Where pytest-xdist has taken the cores, the worker that the test falls to starts it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEST = "test_mypy"
STARTED = pytest.StashKey["subprocess.Popen[str]"]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start mypy if its test has been chosen, and put that test last."""
    shared = hasattr(config, "workerinput") or config.getoption("numprocesses", None)
    if shared or config.option.collectonly or not any(item.name == TEST for item in items):
        return
    items.sort(key=lambda item: item.name == TEST)
    _start(config)


def _start(config: pytest.Config) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    started = subprocess.Popen([sys.executable, "-m", "mypy"], cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]
    config.stash[STARTED] = started
    config.add_cleanup(started.kill)


@pytest.fixture
def mypy(pytestconfig: pytest.Config) -> subprocess.Popen[str]:
    """The process that was started."""
    if STARTED not in pytestconfig.stash:
        _start(pytestconfig)
    return pytestconfig.stash[STARTED]
