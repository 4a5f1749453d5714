"""Fixtures of the speed ratios."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
