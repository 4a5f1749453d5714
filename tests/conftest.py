"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rsbench.data.prepare import prepare
from rsbench.registry import registry
from rsbench.specs import load_attribute

ROOT = Path(__file__).parent.parent
QUIET = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)
settings.register_profile("short", max_examples=30, deadline=None, derandomize=True, suppress_health_check=QUIET)
settings.register_profile("long", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=QUIET)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if config.option.markexpr == "slow" else "short")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``-m slow``, tests of properties run as well, with many more examples."""
    for item in items:
        if config.option.markexpr == "slow" and getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture(scope="session")
def text_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with UCM-captions (four images a class) and RSVQA-LR."""
    folder = tmp_path_factory.mktemp("text-root")
    for name in ("ucm-captions", "rsvqa-lr"):
        spec = registry().get("dataset", name)
        load_attribute(spec.fake)(folder / name, spec, **({"per_class": 4} if name == "ucm-captions" else {}))
        prepare(spec, folder / name, folder)
    return folder
