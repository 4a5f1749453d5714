"""Records that are not what they say: each is refused or flagged by name, and nothing else is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_board import add
from typer.testing import CliRunner, Result

from rsbench.cli.app import build as app
from rsbench.leaderboard.board import build
from rsbench.records import store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for system, accuracy in (("one", 0.9), ("two", 0.8)):
        for seed in range(2):
            add(tmp_path, system, accuracy, seed)
    return tmp_path


def board(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app(), ["leaderboard", str(folder), "--format", "json", *options])


def edit(path: Path, value: float) -> None:
    record = json.loads(path.read_text())
    record["metrics"]["overall_accuracy"]["value"] = value
    path.write_text(json.dumps(record))


def test_an_edited_value_is_flagged_and_the_other_row_is_ranked(folder: Path) -> None:
    edit(folder / "two-s1-closed" / "record.json", 0.99)
    (table,) = build(store.load_all([folder])).tables
    found = {row.system: row for row in table.rows}
    assert found["one"].rank == 1
    assert found["one"].flags == []
    assert found["two"].rank is None
    assert found["two"].flags == [
        "overall_accuracy 0.99 is stored, its predictions give 0.8000 (two-s1-closed)",
        "overall_accuracy 0.9900 is not the 0.8000 that its parts give (two-s1-closed)",
    ]


def test_a_changed_byte_of_predictions_is_flagged(folder: Path) -> None:
    path = folder / "two-s0-closed" / "predictions.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    (table,) = build(store.load_all([folder])).tables
    found = {row.system: row for row in table.rows}
    assert found["one"].rank == 1
    assert found["two"].rank is None
    assert "predictions.parquet is not the file that the record was made from (two-s0-closed)" in found["two"].flags


def test_unreadable_records_are_named_and_left_out(folder: Path) -> None:
    half = folder / "two-s1-closed" / "record.json"
    half.write_text(half.read_text()[:300])
    newer = folder / "two-s0-closed" / "record.json"
    newer.write_text(newer.read_text().replace("rsbench.record/2", "rsbench.record/9"))
    done = board(folder)
    assert done.exit_code == 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("rsbench: ")]
    assert len(lines) == 2
    assert "cannot be read as a record" in next(line for line in lines if "two-s1" in line)
    assert "newer rsbench (schema 9)" in next(line for line in lines if "two-s0" in line)
    assert [row["system"] for row in json.loads(done.stdout)["rows"]] == ["one"]
    refused = CliRunner().invoke(app(), ["verify", str(folder)])
    assert refused.exit_code == 1
    assert "newer rsbench" in refused.stderr


def test_two_versions_of_a_protocol_stay_apart_and_are_named(folder: Path) -> None:
    for path in folder.glob("two-*/record.json"):
        record = json.loads(path.read_text())
        record["plan"]["protocol"] |= {"version": "2", "fingerprint": "f" * 64}
        path.write_text(json.dumps(record))
    done = board(folder)
    prints = {row["system"]: row["fingerprint"] for row in json.loads(done.stdout)["rows"]}
    assert prints["two"] == "f" * 64 != prints["one"]
    assert [row["rank"] for row in json.loads(done.stdout)["rows"]] == [1, 1]
    assert "stands for 2 fingerprints" in done.stderr
    assert "f" * 16 in done.stderr


def test_values_that_float_arithmetic_rounds_are_not_called_edited(folder: Path) -> None:
    path = folder / "two-s1-closed" / "record.json"
    edit(path, float(np.nextafter(0.8, 1)))
    (table,) = build(store.load_all([folder])).tables
    assert all(row.flags == [] for row in table.rows)
