"""The committed speeds: every figure comes from its timed windows, and the boards are current."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rsbench_throughput import render
from rsbench_throughput.board import SpeedBoard, build

from rsbench.records.store import LoadedRecord, load_all
from rsbench.records.verify import verify

FOLDER = Path(__file__).parents[2] / "benchmarks" / "throughput"


@pytest.fixture(scope="module")
def records() -> list[LoadedRecord]:
    return load_all([FOLDER / "records"])


def test_figures_are_those_of_the_windows(records: list[LoadedRecord]) -> None:
    assert {r.record["run_id"]: verify(r) for r in records} == {r.record["run_id"]: [] for r in records}


@pytest.mark.parametrize(("suffix", "draw"), [("md", render.markdown), ("csv", render.RENDER["csv"])])
def test_boards_are_current(records: list[LoadedRecord], suffix: str, draw: Callable[[SpeedBoard], str]) -> None:
    assert (FOLDER / f"cpu.{suffix}").read_text() == draw(build(records))


def test_records_name_no_place_of_a_machine(records: list[LoadedRecord]) -> None:
    for loaded in records:
        assert (loaded.record["plan"]["out"], loaded.record["plan"]["data_root"]) == ("", "")
