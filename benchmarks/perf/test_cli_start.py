"""Start-up of the command line as a whole process, against importing Typer."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ratios import paired


def process(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [["--help"], ["list", "models"]], ids=["help", "list-models"])
def test_start(benchmark, arguments: list[str]) -> None:
    ours = lambda: process("-m", "rsbench", *arguments)  # noqa: E731
    result = paired(ours, lambda: process("-c", "import typer"), rounds=15)
    benchmark.extra_info.update(result)
    benchmark.pedantic(ours, rounds=3)
    assert result["ratio"] <= 4
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rsbench", *arguments], capture_output=True, text=True
    )
    assert "| torch\n" not in done.stderr
