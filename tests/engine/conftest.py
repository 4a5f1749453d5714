"""Small fake files of datasets, prepared once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsbench.data.prepare import prepare
from rsbench.registry import registry
from rsbench.specs import load_attribute


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with EuroSAT (nine images a class)."""
    folder = tmp_path_factory.mktemp("tiny-root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=9)
    prepare(spec, folder / "files", folder)
    return folder
