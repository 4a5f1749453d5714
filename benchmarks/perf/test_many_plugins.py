"""Listing with 200 more plugins installed: a second at most, and not many times as long as without them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ratios import paired, seconds

COUNT = 200
MODULE = """
from rsbench import hookimpl

@hookimpl
def rsbench_models():
    from rsbench.specs import ModelSpec

    yield ModelSpec(name="dummy-{0}", summary="A dummy.", factory="nowhere:build")
"""


def install(site: Path) -> None:
    """Write 200 distributions with one plugin of one model each."""
    for number in range(COUNT):
        (site / f"dummy_{number}.py").write_text(MODULE.format(number))
        info = site / f"dummy_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dummy-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rsbench]\ndummy-{number} = dummy_{number}\n")


def listed(site: Path | None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site) if site else ""}
    command = [sys.executable, "-m", "rsbench", "list", "models"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def cpu_seconds(site: Path) -> float:
    """Processor time of one listing, user and system."""
    before = os.times()
    listed(site)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def test_listing_with_two_hundred_plugins(benchmark, tmp_path: Path) -> None:
    install(tmp_path)
    assert listed(tmp_path).count("dummy-") == COUNT
    result = paired(lambda: listed(tmp_path), lambda: listed(None), rounds=9)
    result["cpu_s"] = min(cpu_seconds(tmp_path) for _ in range(5))
    result["wall_s"] = min(seconds(lambda: listed(tmp_path)) for _ in range(5))
    benchmark.extra_info.update(result)
    benchmark.pedantic(lambda: listed(tmp_path), rounds=3)
    assert result["wall_s"] < 1.0  # of the fastest, which other programs have disturbed least
    assert result["ratio_of_minima"] < 4
