"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data files: RSBENCH_TEST_DATA, or shared/data beside the checkout."""
    named = os.environ.get("RSBENCH_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "eurosat").is_dir():
        pytest.skip(f"no real data at {folder}: set RSBENCH_TEST_DATA")
    return folder


@pytest.fixture(autouse=True)
def _few_threads() -> None:
    """Small tensors on many threads are slower than on one."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
