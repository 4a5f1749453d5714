"""Fixtures of the speed ratios."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ratios import figures, sides
from tabulate import tabulate


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """One thread in each process: two that wait for each other on busy cores measure the neighbors."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    named = os.environ.get("RSBENCH_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not (folder / "eurosat").is_dir():
        pytest.skip(f"no real data at {folder}: set RSBENCH_TEST_DATA")
    return folder


def pytest_benchmark_group_stats() -> list[Any]:
    """Leave out pytest-benchmark's own table: it shows the time of one side, and nothing of a ratio."""
    return []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show both sides of what was compared, and their ratio; and what was measured of one thing alone."""
    session = getattr(config, "_benchmarksession", None)
    measured = [(one.name, one.extra_info) for one in session.benchmarks] if session else []
    compared = [(name, *sides(info)) for name, info in measured if "ratio" in info]
    others = [(name, *each) for name, info in measured for each in figures(info)]
    for title, headers, rows in (
        ("ratios", ("benchmark", "ours", "peer", "ours / peer", "of rounds"), compared),
        ("other figures", ("benchmark", "what", "value"), others),
    ):
        if rows:
            terminalreporter.section(title)
            terminalreporter.write_line(tabulate(rows, headers, disable_numparse=True))
