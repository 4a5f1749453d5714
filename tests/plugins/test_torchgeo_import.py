"""Rows of torchgeo-bench: every score is kept once, and whatever is not kept is counted by its reason."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rsbench_export.exports import export
from rsbench_export.torchgeo_bench import COLUMNS
from rsbench_export.torchgeo_import import Imported, import_rows
from typer.testing import CliRunner, Result

from rsbench.cli.app import build as app
from rsbench.errors import UserError
from rsbench.leaderboard.result import leaderboard
from rsbench.records.store import load_all

ROW = {"dataset": "m-eurosat", "metric_name": "accuracy", "n_train": 2000, "n_val": 1000, "n_test": 1000, "seed": 0}
ROW |= {"model": "bench.Net", "name": "net", "normalization": "zscore", "image_size": 224.0, "partition": "default"}
ROW |= {"bands": "rgb", "bootstrap": 200, "interpolation": "bilinear", "method": "linear", "c_range_stop": 4}
ROW |= {"metric_value": 0.904, "ci_lower": 0.884, "ci_upper": 0.921}


def written(path: Path, *changes: dict[str, Any], encoding: str = "utf-8") -> Path:
    """A file as torchgeo-bench writes it, with a row for each of the changes to :data:`ROW`."""
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows([ROW | change for change in changes])
    return path


def imported(folder: Path, *changes: dict[str, Any], encoding: str = "utf-8") -> Imported:
    return import_rows(written(folder / "all.csv", *changes, encoding=encoding), folder / "out")


def adds_up(found: Imported) -> bool:
    return found.read == len(found.written) + found.known + found.duplicates + sum(found.refused.values())


def command(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app(), [*words], env={"COLUMNS": "200"})


def test_every_score_is_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    changes = [
        {},
        {},  # the same once more
        {"method": "knn5", "metric_value": 0.816, "ci_lower": 0.0, "ci_upper": 0.0},
        {"bands": "all", "metric_value": 0.5, "ci_lower": 0.47, "ci_upper": 0.53},
        {"metric_name": "micro_mAP", "metric_value": 0.4, "ci_lower": 0.3, "ci_upper": 0.5},
        {"method": "intrinsic_dim", "metric_name": "id_MLE_train", "metric_value": 4.9},
        {"method": "profile", "metric_name": "throughput_samples_per_sec", "metric_value": 1700.8},
    ]
    found = imported(tmp_path, *changes)
    assert (found.read, len(found.written), found.duplicates, found.known) == (7, 4, 1, 0)
    assert [reason.partition(" ")[0] for reason in found.refused] == ["id_MLE_train", "throughput_samples_per_sec"]
    again = import_rows(tmp_path / "all.csv", tmp_path / "out")
    assert (again.read, len(again.written), again.duplicates, again.known) == (7, 0, 1, 4)
    assert adds_up(found)
    assert adds_up(again)
    assert found.lines()[0] == "7 rows read: 4 kept, 0 there already, 1 duplicates, 2 refused."
    loaded = {
        (r.record["plan"]["recipe"]["name"], r.record["plan"]["task"]): r.record for r in load_all([tmp_path / "out"])
    }
    linear, knn = loaded["knn5", "classification"], loaded["knn5", "classification"]
    assert knn["metrics"]["overall_accuracy"]["ci95"] is None  # zeros stand for what was not computed
    assert (linear["train"], linear["perf"], linear["env"]) == (None, None, None)
    assert linear["plan"]["protocol"]["split_sizes"] == {"train": 2000, "val": 1000, "test": 1000}
    board = leaderboard(tmp_path / "out")
    assert [(t.task, t.primary, len(t.rows)) for t in board.tables] == [
        ("classification", "overall_accuracy", 1),
        ("classification", "overall_accuracy", 2),  # other bands, another board
        ("multilabel", "micro_mAP", 1),  # a metric that is not installed: its record says what it is
    ]
    rows = [row for table in board.tables for row in table.rows]
    assert {row.rank for row in rows} == {None}
    assert all("reported: by torchgeo-bench" in "; ".join(row.flags) for row in rows)
    assert "4 records read, 4 shown in 4 rows" in str(board)
    assert board.render("html").count("micro_mAP") > 1


def test_what_the_label_says_is_in_the_grouping(tmp_path: Path) -> None:
    """Models that differ by normalization alone were one row; so were other searches of a probe's settings."""
    imported(tmp_path, {}, {"normalization": "native", "metric_value": 0.9}, {"c_range_stop": 5, "metric_value": 0.91})
    (table,) = leaderboard(tmp_path / "out").tables
    assert sorted((row.system, row.mean) for row in table.rows) == [
        ("net native", 0.9),
        ("net zscore", 0.904),
        ("net zscore", 0.91),
    ]
    assert not any("contradicting" in flag for row in table.rows for flag in row.flags)
    assert sorted(row.recipe for row in table.rows) == ["linear", "linear (c_range_stop=4)", "linear (c_range_stop=5)"]


def test_numbers_that_are_written_otherwise_are_the_same_setting(tmp_path: Path) -> None:
    found = imported(tmp_path, {}, {"image_size": "224", "seed": "0.0", "n_test": "1000.0"})
    assert (len(found.written), found.duplicates) == (1, 1)
    assert [r.record["plan"]["seed"] for r in load_all([tmp_path / "out"])] == [0]


def test_contradicting_repeats_are_both_shown(tmp_path: Path) -> None:
    imported(tmp_path, {}, {"metric_value": 0.891}, {"seed": 1})
    (table,) = leaderboard(tmp_path / "out").tables
    assert sorted((row.mean, row.seeds) for row in table.rows) == [(0.891, (0,)), (0.904, (0,)), (0.904, (1,))]
    flagged = [row for row in table.rows if any("contradicting" in flag for flag in row.flags)]
    assert {row.seeds for row in flagged} == {(0,)}
    for row in flagged:
        (said,) = (flag for flag in row.flags if "contradicting" in flag)
        assert all(text in said for text in ("seed 0", "0.9040", "0.8910", *(r.run_ids[0] for r in flagged)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    assert len(imported(tmp_path, {}, encoding=encoding).written) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric_value": 93.0}, "metric_value 93.0 is not a share from 0 to 1"),
        ({"metric_value": "high"}, "metric_value 'high' is not a number"),
        ({"metric_value": "nan"}, "metric_value nan is not finite"),
        ({"metric_value": ""}, "metric_value '' is not a number"),
        ({"ci_upper": "inf"}, "ci_upper inf is not finite"),
        ({"ci_upper": ""}, "the interval has one end"),
        ({"ci_lower": 0.921, "ci_upper": 0.884}, "does not hold metric_value 0.904"),
        ({"ci_lower": 0.91}, "the interval 0.91 to 0.921 does not hold metric_value 0.904"),
        ({"seed": "0.5"}, "seed 0.5 is not a whole number"),
        ({"seed": ""}, "seed is empty"),
        ({"n_test": 0}, "n_test is not a number of samples"),
        ({"name": " "}, "name is empty"),
    ],
)
def test_values_that_cannot_be_right_are_refused_by_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = written(tmp_path / "all.csv", {"method": "knn5"}, change)
    done = command(tmp_path, "import", str(path), "--out", str(tmp_path / "out"))
    assert isinstance(done.exception, UserError)
    assert "2 rows read: 1 kept, 0 there already, 0 duplicates, 1 refused." in done.stdout
    assert "all.csv, line 3: " in str(done.exception)
    assert said in str(done.exception)
    assert len(load_all([tmp_path / "out"])) == 1


def test_a_short_row_and_a_long_one(tmp_path: Path) -> None:
    path = written(tmp_path / "all.csv", {})
    path.write_text(f"{path.read_text()}m-eurosat,linear,accuracy\r\n{','.join('1' * 50)}\r\n")
    found = import_rows(path, tmp_path / "out")
    assert (len(found.written), found.refused.total()) == (1, 2)
    assert ["line 3" in found.problems[0], "line 4" in found.problems[1]] == [True, True]


def test_names_that_are_longer_than_a_file_system_takes(tmp_path: Path) -> None:
    found = imported(tmp_path, {"name": "x" * 300}, {"name": "x" * 300 + "y"}, {"name": "\N{HIRAGANA LETTER A}" * 300})
    assert len(found.written) == 3
    assert len(leaderboard(tmp_path / "out").tables[0].rows) == 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=8)), max_size=4))
def test_whatever_a_file_holds_is_counted(tmp_path: Path, changes: list[dict[str, Any]]) -> None:
    try:
        found = imported(tmp_path, {}, *changes, encoding="utf-8")
    except (UserError, UnicodeEncodeError):
        return
    assert adds_up(found)
    assert len(found.written) + found.known >= 1


def test_files_that_are_not_theirs(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="it has no column dataset, method"):
        import_rows(tmp_path / "other.csv", tmp_path / "out")
    with pytest.raises(UserError, match="cannot be read"):
        import_rows(tmp_path / "gone.csv", tmp_path / "out")


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    imported(tmp_path, {}, {"image_size": "", "bands": "all"}, {"metric_name": "micro_mAP"})
    (text,) = export(load_all([tmp_path / "out"]), "torchgeo-bench").values()
    asked = (
        "name",
        "normalization",
        "model",
        "bands",
        "image_size",
        "partition",
        "c_range_stop",
        "metric_value",
        "seed",
    )
    rows = sorted(tuple(row[name] for name in asked) for row in csv.DictReader(StringIO(text)))
    assert rows[0] == ("net", "zscore", "bench.Net", "all", "", "default", "4", "0.904", "0")
    (tmp_path / "again.csv").write_text(text)
    assert import_rows(tmp_path / "again.csv", tmp_path / "out").known == 3
    assert json.loads(leaderboard(tmp_path / "out").render("json"))["records"]["shown"] == 3
