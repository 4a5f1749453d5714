"""The committed records and boards: every number comes from stored predictions, and the boards are current."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsbench.leaderboard.board import build
from rsbench.leaderboard.render import data, markdown
from rsbench.records.store import LoadedRecord, load_all
from rsbench.records.verify import verify

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def records() -> list[LoadedRecord]:
    return load_all([BENCHMARKS / "records"])


def test_records_are_what_their_predictions_say(records: list[LoadedRecord]) -> None:
    assert {r.record["run_id"]: verify(r) for r in records if verify(r)} == {}


def test_records_name_no_place_of_a_machine(records: list[LoadedRecord]) -> None:
    for loaded in records:
        plan = loaded.record["plan"]
        assert (plan["out"], plan["data_root"], plan["dataset"]["store"]) == ("", "", "")
        assert "/" not in str(plan["model"]["options"].get("weights", ""))


def test_every_network_has_three_seeds(records: list[LoadedRecord]) -> None:
    (table,) = build(records).tables
    assert {r.system: len(r.seeds) for r in table.rows if not r.control}.items() >= {
        "baseline-cnn": 3,
        "timm:resnet18": 3,
        "torchvision:squeezenet1_0": 3,
    }.items()


@pytest.mark.parametrize(("name", "render"), [("eurosat.md", markdown.render), ("eurosat.csv", data.render_csv)])
def test_boards_are_current(records: list[LoadedRecord], name: str, render: object) -> None:
    assert (BENCHMARKS / "leaderboards" / name).read_text() == render(build(records))  # type: ignore[operator]
