"""What tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rsbench.cli.app import build


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the generated scenes."""
    root = tmp_path_factory.mktemp("root")
    CliRunner().invoke(build(), ["data", "prepare", "scenes", "--data-root", str(root), "--workers", "1"])
    return root
