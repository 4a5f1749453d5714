"""Nothing is lost on the way to a board: each record is shown or counted, none wins over another, none breaks a board."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsbench_claims import compare as claims
from rsbench_throughput import board as throughput_board
from rsbench_time_to import board as time_to
from rsbench_time_to import render as time_to_render
from test_board import add, add_seeds
from typer.testing import CliRunner

from rsbench.cli.app import build as app
from rsbench.errors import UserError
from rsbench.leaderboard import consistency, installed
from rsbench.leaderboard.board import Board, build
from rsbench.leaderboard.census import Census
from rsbench.leaderboard.formats import formats
from rsbench.leaderboard.members import usable
from rsbench.leaderboard.render import terminal
from rsbench.leaderboard.render.cells import body, columns
from rsbench.leaderboard.result import Leaderboard
from rsbench.records.store import LoadedRecord, load_all, save, validate
from rsbench.tasks.classification.task import Classification

HERE = Path("record.json")


def loaded(record: dict[str, Any], path: Path = HERE) -> LoadedRecord:
    return LoadedRecord(path, record)


def only(board: Board, system: str) -> list[Any]:
    return [row for table in board.tables for row in table.rows if row.system == system]


# Identity


def test_the_same_content_from_two_folders_counts_once(tmp_path: Path) -> None:
    add(tmp_path / "a", "net", 0.9)
    add(tmp_path / "b", "net", 0.9)
    board = build(load_all([tmp_path]))
    (row,) = only(board, "net")
    assert (row.seeds, row.flags) == ((0,), [])
    assert board.census.sentence() == "2 records read, 1 shown in 1 row; left out: 1 duplicate."


def test_of_one_content_the_record_that_was_made_first_is_shown() -> None:
    """Runs that repeat each other bit by bit on two machines: no folder, no name decides whose seconds are shown."""
    first, second = made.record("net"), made.record("net")
    first |= {"created": "2026-01-01T00:00:00Z", "run_id": "z"}
    second |= {"created": "2026-01-02T00:00:00Z", "run_id": "a"}
    for order in permutations([loaded(first), loaded(second)]):
        assert only(build(order), "net")[0].run_ids == ("z",)


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_records_that_contradict_each_other_are_both_shown_in_any_order(order: tuple[int, ...]) -> None:
    records = [
        made.record("net", 0.90),
        made.record("net", 0.90, seed=1),
        made.record("net", 0.6),
        made.record("other"),
    ]
    for name, record in zip("abcd", records, strict=True):
        record["run_id"] = name
    boards = [build([loaded(records[k]) for k in places]) for places in (range(4), order)]
    for board in boards:
        rows = {row.run_ids: row for row in only(board, "net")}
        assert rows.keys() == {("a",), ("b",), ("c",)}
        values = [f"{r['metrics']['overall_accuracy']['value']:.4f}" for r in records]
        said = f"contradicting records of seed 0: overall_accuracy {values[2]} in c, {values[0]} in a"
        assert said in rows["a",].flags
        assert said in rows["c",].flags
        assert (rows["a",].rank, rows["c",].rank) == (None, None)
        assert rows["b",].flags == ["no predictions available"]
        assert board.census.to_dict() == {"read": 4, "shown": 4, "rows": 4, "left_out": {}}
    for format_ in (name for name, spec in formats().items() if not spec.files):
        texts = [Leaderboard(board).render(format_) for board in boards]
        assert texts[0] == texts[1]


def test_contradicting_records_of_one_run_id_are_told_apart() -> None:
    """An edited copy beside the record that it was made from."""
    good = made.record("net")
    edited = copy.deepcopy(good)
    edited["metrics"]["nll"]["value"] += 0.1
    board = build([loaded(good), loaded(edited)])
    assert len(only(board, "net")) == 2
    (flag,) = {f for row in only(board, "net") for f in row.flags if f.startswith("contradicting")}
    assert flag.startswith("contradicting records of seed 0: nll ")
    assert flag.count(good["run_id"]) == flag.count("(content ") == 2
    assert Leaderboard(board).render("html").count('class="record" id=') == 2


# Rows that read alike


@pytest.mark.parametrize("width", [80, 100, 110, 140, 200])
def test_no_two_rows_read_the_same(width: int) -> None:
    records = [made.record("net", 0.9), made.record("net", 0.8), made.record("net", 0.7), made.record("net", 0.6)]
    records[1]["plan"]["recipe"]["lr"] = 0.5
    records[2]["plan"]["division"] = "closed"
    records[3]["plan"]["model"] |= {"version": "2"}
    board = build([loaded(r) for r in records])
    assert len(board.tables[0].rows) == 4
    for without in ((), ("recipe",), ("recipe", "division")):
        kept = [columns(board.tables[0]).index(n) for n in ("system", "recipe", "division") if n not in without]
        shown = [tuple(texts[k] for k in kept) for texts in body(board.tables[0], without)]
        assert len({*shown}) == 4
    text = terminal.render(board, width)
    assert all(len(line) <= width for line in text.splitlines() if line.startswith(("\u2502", "\u250f")))
    assert "lr=0.5" in text.replace("\n", "")


@pytest.mark.parametrize("width", range(80, 200, 10))
def test_the_system_is_readable_at_any_width(width: int) -> None:
    """Columns were taken from the system's until it had none."""
    board = captions()
    text = terminal.render(board, width)
    assert all(row.system.partition(" ")[0] in text for row in board.tables[0].rows)
    board.tables[0].rows[0].flags.append("a reason of several words " * 5)
    headings = next(line for line in terminal.render(board, width).splitlines() if "system" in line)
    assert len(headings) <= width
    assert len(next(cell for cell in headings.split("\u2503") if "system" in cell)) - 2 >= 24


def captions() -> Board:
    """A board with six metrics beside its score, and long names."""
    records = []
    for k, name in enumerate(("vgg19-lstm (backbone=squeezenet1_0)", "csmlf", "commonest-caption")):
        record = made.record(name, 0.9 - k / 10)
        metrics = {m: dict(record["metrics"]["nll"]) | {"value": 3.1961, "unit": "CIDEr-D"} for m in CAPTIONING}
        metrics["CIDEr-D"] |= {"primary": True, "value": 3 - k / 10}
        record["plan"] |= {"task": "captioning"}
        record["plan"]["protocol"] |= {"primary": "CIDEr-D", "metrics": [*CAPTIONING]}
        records.append(record | {"metrics": metrics, "by_group": {}})
    return build([loaded(record) for record in records])


CAPTIONING = ("CIDEr-D", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L")


def test_legends_and_other_boards_tell_rows_apart() -> None:
    records = [made.record("net", 0.9), made.record("net", 0.8)]
    records[1]["plan"]["recipe"]["lr"] = 0.5
    for k, record in enumerate(records):
        record["run_id"] = str(k)
        for entry in record["train"]["curve"]:
            entry["seconds"] = record["train"]["seconds"] / len(record["train"]["curve"])
    page = Leaderboard(build([loaded(r) for r in records])).render("html")
    legend = page.partition('<ul class="legend">')[2].partition("</ul>")[0]
    assert ("lr=0.002" in legend, "lr=0.5" in legend) == (True, True)
    paces = time_to.build([loaded(r) for r in records], [0.5])
    for width in (80, 200):
        text = "".join(time_to_render.terminal(paces, width).split())
        assert ("lr=0.002" in text, "lr=0.5" in text) == (True, True)


# Counts


def test_every_board_ends_with_where_the_records_went(tmp_path: Path) -> None:
    failed = made.record("broken") | {"status": "failed", "metrics": {}}
    failed["error"] = {"stage": "train", "type": "RunError", "message": "The loss became nan."}
    foreign = made.record("foreign")
    foreign["plan"]["protocol"]["metrics"].append("their-metric")
    foreign["metrics"]["their-metric"] = dict(foreign["metrics"]["nll"])
    foreign["plan"]["model"]["distribution"] = "rsbench-theirs"
    null = made.record("null")
    null["metrics"]["overall_accuracy"] |= {"value": None, "ci95": None, "note": "it raised ValueError: x"}
    speed = made.record("fast") | {"metrics": {}}
    speed["plan"]["division"] = "throughput"
    records = [made.record("net"), made.record("net", seed=1), failed, foreign, null, speed]
    records += [made.record("tried", division="debug"), made.record("shut", division="closed")]
    for number, record in enumerate([*records, made.record("net")]):
        save(record, tmp_path / str(number))
    odd = made.record("odd")
    odd["plan"]["model"]["label"] = None
    for name, text in (("half", "{"), ("odd", json.dumps(odd))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(text)
    done = CliRunner().invoke(app(), ["leaderboard", str(tmp_path), "--division", "open"], env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    said = (
        "11 records read, 2 shown in 1 row; left out: 1 duplicate, 1 failed, 2 filtered out, 1 of metrics or tasks that "
        "are not installed (install rsbench-theirs), 1 of throughput, 2 unreadable, 1 without a score."
    )
    assert said in done.stdout
    assert "metric 'their-metric' is not installed; install rsbench-theirs." in done.stderr
    assert "plan.model.label: Input should be a valid string." in done.stderr
    assert "overall_accuracy has no value: it raised ValueError: x." in done.stderr
    board = build(load_all([tmp_path], []), division="open", unreadable=2)
    for format_ in ("terminal", "markdown", "latex", "html"):
        assert said in " ".join(Leaderboard(board).render(format_).split())
    counts = json.loads(Leaderboard(board).render("json"))["records"]
    assert counts["read"] == counts["shown"] + sum(counts["left_out"].values()) == 11
    others = json.loads(time_to_render.RENDER["json"](time_to.build(load_all([tmp_path], []), [0.5])))["records"]
    assert others["read"] == others["shown"] + sum(others["left_out"].values()) == 9


def test_counts_that_do_not_add_up_are_an_error() -> None:
    with pytest.raises(AssertionError, match="3 records were read, 1 are shown and 1 left out"):
        Census(2, unreadable=1).close(1, 1)


def test_seeds_of_different_precision_say_so_and_keep_their_rank(tmp_path: Path) -> None:
    add_seeds(tmp_path, "net", 0.9)
    path = tmp_path / "net-s2-closed" / "record.json"
    record = json.loads(path.read_text())
    record["env"]["flags"]["precision"] = "bf16"
    path.write_text(json.dumps(record))
    records = load_all([tmp_path])
    board = build(records)
    (row,) = board.tables[0].rows
    assert row.notes == ["its seeds ran in different precision: bf16 (seed 2), fp32 (seeds 0, 1)"]
    assert row.rank == 1
    assert "bf16 (seed 2)" in Leaderboard(board).render("html")
    assert build(records[:2]).tables[0].rows[0].notes == []


# What a foreign record may hold


def test_by_group_is_what_the_task_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin's task may call its groups as ours does, with other figures in them."""

    class Theirs(Classification):
        parts = None

    record = made.record("net")
    record["plan"]["task"] = "theirs"
    record["by_group"] = {"class": 3, "question_type": [1], "confusion_matrix": "no"}
    assert "task 'theirs' is not installed" in build([loaded(record)]).problems[0]
    monkeypatch.setattr(installed, "get_task", lambda name: Theirs())
    assert consistency.broken(record) == []
    page = Leaderboard(build([loaded(record), loaded(made.record("good"))])).render("html")
    assert ("net" in page, "good" in page) == (True, True)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a record; of lists the first two items."""
    yield above
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*above, key))


ODD = made.record("odd", classes=3, tags=("reconstruction",)) | {"run_id": "odd"}
GOOD = made.record("good", classes=3)
PLACES = [place for place in places(ODD) if place and place[0] not in ("schema", "status")]
GONE = object()
VALUES = (GONE, None, "text", "0.5", 3, -1.5, True, 1e308, [], [None], {}, {"x": None}, {"a": {"b": [1]}})


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), value=st.sampled_from(VALUES))
def test_no_field_of_a_record_breaks_a_board(place: tuple[Any, ...], value: Any) -> None:
    odd = copy.deepcopy(ODD)
    inside: Any = odd
    for key in place[:-1]:
        inside = inside[key]
    if value is GONE:
        del inside[place[-1]]
    else:
        inside[place[-1]] = copy.deepcopy(value)
    try:
        validate(odd, "odd")
    except UserError:
        return  # no reader of many records meets it
    records = [loaded(odd), loaded(GOOD)]
    board = build(records)
    assert only(board, "good")
    assert all("good" in Leaderboard(board).render(format_) for format_ in formats())
    paces = time_to.build(records, [0.5])
    assert [row.system for table in paces.tables for row in table.rows].count("good") == 1
    assert all("good" in draw(paces) for draw in time_to_render.RENDER.values())
    assert throughput_board.build(records).census.read == 2
    assert claims.compare(records, []) == []
    assert usable(records, [])[-1].record is GOOD
