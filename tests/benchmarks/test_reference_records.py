"""The committed records and boards: every number comes from stored predictions, and the boards are current."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from rsbench_html import render as html

from rsbench.execution import portable_command
from rsbench.leaderboard.board import Board, build
from rsbench.leaderboard.render import data, markdown
from rsbench.records.store import LoadedRecord, load_all
from rsbench.records.verify import check_content, verify

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BOARDS = sorted(p.stem for p in (BENCHMARKS / "leaderboards").glob("*.md"))


@pytest.fixture(scope="module")
def records() -> list[LoadedRecord]:
    return load_all([BENCHMARKS / "records"])


def different(records: Iterable[LoadedRecord]) -> dict[str, list[str]]:
    """Run ids, and what does not match."""
    return {r.record["run_id"]: found for r in records if (found := verify(r))}


def test_files_of_predictions_are_those_of_the_records(records: list[LoadedRecord]) -> None:
    for loaded in records:
        path = loaded.artifact("predictions")
        if path is not None:
            assert check_content(path.name, path.read_bytes(), loaded.record["artifacts"]["predictions"]) == []


def test_a_record_of_each_configuration_is_what_its_predictions_say(records: list[LoadedRecord]) -> None:
    one_seed = {r.record["run_id"].rpartition("-s")[0]: r for r in records}
    assert len(one_seed) > 30
    assert different(one_seed.values()) == {}


@pytest.mark.slow
def test_records_are_what_their_predictions_say(records: list[LoadedRecord]) -> None:
    assert different(records) == {}


def test_records_name_no_place_of_a_machine(records: list[LoadedRecord]) -> None:
    for loaded in records:
        plan = loaded.record["plan"]
        assert (plan["out"], plan["data_root"], plan["dataset"]["store"]) == ("", "", "")
        assert "/" not in str(plan["model"]["options"].get("weights", ""))
        threads = f" --threads {plan['threads']}"  # kept at first
        assert portable_command(plan["command"]) in (plan["command"], plan["command"].replace(threads, ""))


def test_networks_on_eurosat_have_three_seeds() -> None:
    (table,) = build(load_all([BENCHMARKS / "records" / "eurosat"])).tables
    assert {r.system: len(r.seeds) for r in table.rows if not r.baseline}.items() >= {
        "baseline-cnn": 3,
        "timm:resnet18": 3,
        "torchvision:squeezenet1_0": 3,
    }.items()


def test_every_folder_of_records_has_a_board() -> None:
    folders = {p.name for p in (BENCHMARKS / "records").iterdir() if p.is_dir()}
    assert folders - {"overfit"} == set(BOARDS)


def test_the_page_of_all_records_is_current_and_holds_no_image(records: list[LoadedRecord]) -> None:
    page = BENCHMARKS / "leaderboards" / "leaderboard.html"
    text = page.read_text()
    assert text == html.render(build(records), None, page)
    assert "<img" not in text


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize(("suffix", "render"), [("md", markdown.render), ("csv", data.render_csv)])
def test_boards_are_current(name: str, suffix: str, render: Callable[[Board], str]) -> None:
    board = build(load_all([BENCHMARKS / "records" / name]))
    assert (BENCHMARKS / "leaderboards" / f"{name}.{suffix}").read_text() == render(board)
