"""Numbers of one record that contradict each other, and options without effect."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from test_board import add

from rsbench.leaderboard.board import build
from rsbench.leaderboard.consistency import broken
from rsbench.records import store

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"


def record(pattern: str) -> dict[str, Any]:
    return json.loads(next(iter(sorted(RECORDS.glob(f"{pattern}/record.json")))).read_text())


def test_committed_records_hold_together() -> None:
    checked = 0
    for path in sorted(RECORDS.rglob("record.json")):
        made = json.loads(path.read_text())
        if made["status"] == "ok":
            assert broken(made) == []
            checked += 1
    assert checked > 50


@pytest.mark.parametrize(
    ("pattern", "metric", "value", "said"),
    [
        (
            "eurosat/*baseline*",
            "overall_accuracy",
            0.9,
            "overall_accuracy 0.9000 is not the 0.8363 that its parts give",
        ),
        (
            "eurosat/*baseline*",
            "average_accuracy",
            0.8,
            "average_accuracy 0.8000 is not the 0.8316 that its parts give",
        ),
        ("eurosat/*baseline*", "top3_accuracy", 0.7, "overall_accuracy 0.8363 is above top3_accuracy 0.7000"),
        ("eurosat/*baseline*", "cohen_kappa", 1.2, "cohen_kappa 1.2000 is above its range, which ends at 1"),
        ("eurosat/*baseline*", "nll", -0.1, "nll -0.1000 is below its range, which begins at 0"),
        ("scenes-vqa/*lobry*", "OA", 0.8, "OA 0.8000 is not the 0.7538 that its parts give"),
        ("scenes-vqa/*lobry*", "accuracy_comp", 0.8, "accuracy_comp 0.8000 is not the 0.7072 of its questions"),
        ("ucm-captions/*vgg*", "CIDEr-D", 11.0, "CIDEr-D 11.0000 is above its range, which ends at 10"),
    ],
)
def test_each_identity(pattern: str, metric: str, value: float, said: str) -> None:
    made = record(pattern)
    made["metrics"][metric]["value"] = value
    assert said in broken(made)


def test_confusion_against_classes() -> None:
    made = record("eurosat/*baseline*")
    made["by_group"]["confusion_matrix"][0][1] += 1
    (said,) = broken(made)
    assert said.startswith("AnnualCrop has 532 of 596 right, in the confusion matrix 532 of 597")


def edit(path: Path, change: Any) -> None:
    made = json.loads(path.read_text())
    change(made)
    path.write_text(json.dumps(made))


def test_a_broken_identity_unranks_its_row(tmp_path: Path) -> None:
    for system, accuracy in (("one", 0.9), ("two", 0.8)):
        for seed in range(2):
            add(tmp_path, system, accuracy, seed)
    edit(tmp_path / "one-s0-closed" / "record.json", lambda r: r["metrics"]["macro_f1"].update(value=1.5))
    (table,) = build(store.load_all([tmp_path])).tables
    found = {row.system: row for row in table.rows}
    assert found["one"].rank is None
    assert found["one"].flags == ["macro_f1 1.5000 is above its range, which ends at 1 (one-s0-closed)"]
    assert found["two"].rank == 1


def test_an_option_without_effect_is_named(tmp_path: Path) -> None:
    add(tmp_path, "net", 0.9, stream=1)
    add(tmp_path, "twin", 0.9, stream=1)

    def change(made: dict[str, Any]) -> None:
        made["plan"]["model"] |= {"name": "net", "label": "net (width=2)", "options": {"width": 2}}
        made["plan"]["recipe"] = copy.deepcopy(made["plan"]["recipe"]) | {"lr": 0.5}

    edit(tmp_path / "twin-s0-closed" / "record.json", change)
    (table,) = build(store.load_all([tmp_path])).tables
    flags = [flag for row in table.rows for flag in row.flags]
    assert len(flags) == 1
    assert "predictions identical to those of net" in flags[0]
    assert flags[0].endswith("width=2, lr=0.5 changed nothing")
