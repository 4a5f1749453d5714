"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rsbench.data.prepare import prepare
from rsbench.registry import registry
from rsbench.specs import load_attribute

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


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with fake EuroSAT: raw files in ``files``, nine images of each class, prepared."""
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=9)
    prepare(spec, folder / "files", folder)
    return folder
