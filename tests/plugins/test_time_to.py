"""Time to accuracy: curves whose answer is known, and what may not stand in one table."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import made
import pytest
from rsbench_html import budget
from rsbench_html import render as html
from rsbench_html.series import series_of
from rsbench_time_to import render
from rsbench_time_to.board import PaceBoard, build
from rsbench_time_to.target_reached import TargetReached, setup_seconds, target_reached

from rsbench.leaderboard import learning_curve
from rsbench.records import store

TARGETS = [0.5, 0.8, 0.9]
REFERENCES = Path(__file__).parents[2] / "benchmarks" / "records"


def run(
    system: str = "net",
    scores: tuple[float | None, ...] = (0.4, 0.8, 0.7, 0.95),
    *,
    each: float = 10.0,
    seed: int = 0,
    targets: list[float] | None = None,
    device: str = "AMD EPYC",
    name: str = "val_accuracy",
    flags: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a record of one epoch a score, each of *each* seconds and 100 samples; 3 seconds of setup."""
    record = made.record(system, 0.9, seed=seed, device=device)
    curve = [{"epoch": k, "train_loss": 1.0, "seconds": each, name: s} for k, s in enumerate(scores, start=1)]
    n = len(scores)
    record["train"] |= {"epochs": n, "steps": n, "samples": 100 * n, "seconds": n * each, "curve": curve, "time_to": {}}
    record["timing"] = {"stages": {"data": 1.0, "build": 2.0, "train": 1.5 * n * each, "score": 9.0}, "total": 99.0}
    record["plan"]["protocol"]["targets"] = TARGETS if targets is None else targets
    record["env"]["flags"] |= flags or {}
    return record | {"run_id": made.run_id(system, f"s{seed}", device, flags)}


def board(folder: Path, *records: dict[str, Any], target: tuple[float, ...] = (), **filters: Any) -> PaceBoard:
    for number, record in enumerate(records):
        store.save(record, folder / f"{number:03d}")
    return build(store.load_all([folder]), target, **filters)


# One record


def test_marks_add_seconds_and_samples_up_and_leave_epochs_without_validation_out() -> None:
    found = learning_curve.points(run(scores=(None, 0.8, None, 0.9)))
    assert found == [learning_curve.Point(2, 20.0, 200, 0.8), learning_curve.Point(4, 40.0, 400, 0.9)]


def test_the_first_epoch_that_reaches_a_target_counts_even_if_the_next_falls_below() -> None:
    record = run()
    assert target_reached(record, 0.8) == TargetReached(20.0, 23.0, 200)
    assert target_reached(record, 0.75) == TargetReached(20.0, 23.0, 200)
    assert target_reached(record, 0.9) == TargetReached(40.0, 43.0, 400)
    assert target_reached(record, 0.96) is None


def test_seconds_noted_in_training_go_before_those_of_the_curve() -> None:
    record = run()
    record["train"]["time_to"] = {"0.8": 19.5}
    assert target_reached(record, 0.8) == TargetReached(19.5, 22.5, 200)
    record["train"]["curve"] = []
    assert target_reached(record, 0.8) == TargetReached(19.5, 22.5, None)


def test_what_a_run_taken_up_again_does_not_know_is_null() -> None:
    """Its stages are those of the last process; an epoch that was interrupted lacks the seconds before."""
    late, within = run(), run()
    late["timing"]["stages"]["train"] = 12.0
    assert target_reached(late, 0.8) == TargetReached(20.0, None, 200)
    within["train"]["seconds"] += 5.0
    assert target_reached(within, 0.8) == TargetReached(None, None, 200)
    del within["train"]["curve"][0]["seconds"]
    assert target_reached(within, 0.8) == TargetReached(None, None, 200)


def test_all_that_precedes_the_first_step_is_set_up() -> None:
    record = run()
    record["timing"]["stages"] |= {"preflight": 4.0, "encode": 8.0, "compile": 16.0, "evaluate": 100.0}
    assert setup_seconds(record) == 31.0
    assert setup_seconds(record | {"timing": {}}) is None


# The board


def test_means_are_over_the_seeds_that_reached_a_target(tmp_path: Path) -> None:
    runs = [run(seed=0), run(seed=1, each=20.0), run(seed=2, scores=(0.4, 0.6, 0.7, 0.8))]
    (table,) = board(tmp_path, *runs).tables
    (row,) = table.rows
    easy, middle, hard = row.reaches
    assert (easy.target, easy.reached, easy.seconds, easy.samples) == (0.5, 3, pytest.approx(80 / 3), 200.0)
    assert (middle.reached, middle.seconds, middle.with_setup) == (3, pytest.approx(100 / 3), pytest.approx(109 / 3))
    assert middle.samples == pytest.approx(800 / 3)
    assert (hard.reached, hard.seconds, hard.samples) == (2, 60.0, 400.0)
    assert (row.seeds, row.epochs, row.score) == ((0, 1, 2), 4, pytest.approx(0.9))
    assert render.cells(row)["s to 90"] == "60 (2 of 3)"
    assert render.cells(row)["s to 50"] == "26.7"


def test_a_mean_without_one_of_its_seeds_is_not_known(tmp_path: Path) -> None:
    odd = run(seed=1)
    odd["timing"] = {}
    (table,) = board(tmp_path, run(), odd).tables
    assert [(r.seconds, r.with_setup) for r in table.rows[0].reaches][2] == (40.0, None)


def test_rows_are_sorted_by_the_hardest_target_reached_fastest(tmp_path: Path) -> None:
    runs = [
        run("slow"),
        run("fast", each=1.0),
        run("never", (0.4, 0.8, 0.85, 0.89), each=0.1),
        run("never, slower", (0.4, 0.8, 0.85, 0.89), each=0.2),
        run("nothing", (0.1, 0.2, 0.3, 0.4), each=0.1),
        run("lucky", each=0.1, seed=0),
        run("lucky", (0.4, 0.5, 0.6, 0.7), each=0.1, seed=1),
    ]
    (table,) = board(tmp_path, *runs).tables
    names = ["fast", "slow", "lucky", "never", "never, slower", "nothing"]
    assert [row.system for row in table.rows] == names
    last = render.cells(table.rows[-1])
    assert {last[f"{kind} to {t}"] for t in (50, 80, 90) for kind in ("s", "s with setup", "samples")} == {""}


DIFFERENCES: list[dict[str, Any]] = [
    {"device": "NVIDIA H200"},
    {"flags": {"precision": "bf16"}},
    {"flags": {"compile": "default"}},
    {"flags": {"threads": 64}},
]


@pytest.mark.parametrize("other", DIFFERENCES, ids=lambda d: str(next(iter(d.values()))))
def test_what_ran_elsewhere_is_in_another_table(tmp_path: Path, other: dict[str, Any]) -> None:
    made = board(tmp_path, run(seed=0), run(seed=1, each=1.0, **other), run("other", seed=0))
    assert sorted([(r.system, r.seeds) for r in t.rows] for t in made.tables) == [
        [("net", (0,)), ("other", (0,))],
        [("net", (1,))],
    ]
    assert len({t.title for t in made.tables}) == 2


def test_protocols_do_not_mix(tmp_path: Path) -> None:
    other = run(seed=1)
    other["plan"]["protocol"]["fingerprint"] = "f" * 64
    made = board(tmp_path, run(seed=0), other)
    assert sorted([r.seeds for r in t.rows] for t in made.tables) == [[(0,)], [(1,)]]


def test_targets_that_records_declare_are_those_of_the_table_unless_others_are_named(tmp_path: Path) -> None:
    old = run(seed=1)
    del old["plan"]["protocol"]["targets"]
    made = board(tmp_path, run(targets=[0.9, 0.5]), old)
    assert [t.targets for t in made.tables] == [(0.5, 0.9)]
    assert [[r.reached for r in row.reaches] for row in made.tables[0].rows] == [[2, 2]]
    (table,) = board(tmp_path, target=(0.95, 0.7)).tables
    assert [(r.target, r.seconds) for r in table.rows[0].reaches] == [(0.7, 20.0), (0.95, 40.0)]


def test_what_is_not_on_the_board_is_said(tmp_path: Path) -> None:
    failed = run("failed") | {"status": "failed", "train": None}
    failed["error"] = {"stage": "train", "type": "RunError", "message": "The loss became nan."}
    homeless, blind = run("homeless") | {"env": None}, run("blind", (None, None))
    debug = run("debug")
    debug["plan"]["division"] = "debug"
    made = board(tmp_path, failed, homeless, blind, debug)
    assert made.tables == ()
    assert [p.partition(" ")[0] for p in made.problems] == [failed["run_id"], homeless["run_id"], "1"]
    assert "The loss became nan." in made.problems[0]
    bare = board(tmp_path / "bare", run(targets=[]))
    assert bare.tables == ()
    assert "--target" in bare.problems[0]


def test_filters(tmp_path: Path) -> None:
    made = board(tmp_path, run())
    plan = run()["plan"]
    for name, value in (("task", plan["task"]), ("dataset", plan["dataset"]["name"]), ("division", "open")):
        assert build(store.load_all([tmp_path]), **{name: value}).tables == made.tables
        assert build(store.load_all([tmp_path]), **{name: "other"}).tables == ()


def test_failed_gates_and_data_wait_are_beside(tmp_path: Path) -> None:
    records = [run(seed=0), run(seed=1)]
    records[0]["checks"] = [{"name": "gate:above-chance", "ok": False, "detail": "x"}]
    records[0]["perf"]["data_wait_fraction"] = 0.02
    records[1]["perf"]["data_wait_fraction"] = 0.04
    (table,) = board(tmp_path, *records).tables
    texts = render.cells(table.rows[0])
    assert (texts["flags"], texts["data wait"]) == ("above-chance", "3.0 %")


# Formats


def test_formats_say_the_same_and_null_is_not_zero(tmp_path: Path) -> None:
    made = board(tmp_path, run("=cmd|x"), run("low", (0.1, 0.6)))
    rows = json.loads(render.RENDER["json"](made))["rows"]
    assert [(r["system"], r["target"], r["reached"], r["seconds"], r["samples"]) for r in rows] == [
        ("=cmd|x", 0.5, 1, 20.0, 200.0),
        ("=cmd|x", 0.8, 1, 20.0, 200.0),
        ("=cmd|x", 0.9, 1, 40.0, 400.0),
        ("low", 0.5, 1, 20.0, 200.0),
        ("low", 0.8, 0, None, None),
        ("low", 0.9, 0, None, None),
    ]
    read = list(csv.DictReader(io.StringIO(render.RENDER["csv"](made))))
    assert [(r["system"], r["seconds"]) for r in read][::3] == [("'=cmd|x", "20.0"), ("low", "20.0")]
    assert read[4]["seconds"] == ""
    text = render.markdown(made)
    assert "=cmd\\|x" in text
    assert made.tables[0].fingerprint[:16] in text
    assert "time to validation accuracy (%); AMD EPYC" in text


@pytest.mark.parametrize("width", [80, 110, 200])
def test_narrow_terminals_lose_columns_but_no_seconds(tmp_path: Path, width: int) -> None:
    shown = render.terminal(board(tmp_path, run(), run(seed=1, scores=(0.1, 0.6))), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "40 (1 of 2)" in shown
    assert ("s with setup to 90" in shown) == (width == 200)
    assert "…" not in shown


def test_bytes_do_not_depend_on_the_order_of_records(tmp_path: Path) -> None:
    twice = run("net", seed=1, each=3.0) | {"created": "2030-01-01T00:00:00Z"}
    board(tmp_path, run(), run(seed=1), twice, run("same"), run("same, too"))
    loaded = store.load_all([tmp_path])
    for draw in render.RENDER.values():
        texts = {draw(build(order)) for order in itertools.islice(itertools.permutations(loaded), 0, None, 13)}
        assert len(texts) == 1
    assert build(loaded).tables[0].rows[0].seeds == (0, 1)


def test_committed_records_count_though_they_know_few_targets() -> None:
    loaded = store.load_all([REFERENCES / "eurosat"])
    (table,) = build(loaded, [0.8]).tables
    rows = {row.system: row for row in table.rows}
    resnet = next(row for name, row in rows.items() if name.startswith("timm:resnet18"))
    assert (len(resnet.seeds), resnet.reaches[0].reached) == (3, 3)
    assert resnet.reaches[0].with_setup is None  # one of the three was taken up again
    for row in table.rows:
        for reach in row.reaches:
            assert (reach.seconds is None) == (reach.reached == 0)
    noted = [r.record["train"]["time_to"].get("0.9") for r in loaded if r.record["train"]["time_to"]]
    (table,) = build(loaded).tables
    first = table.rows[0].reaches[0]
    assert (first.target, first.reached, first.seconds) == (0.9, 3, pytest.approx(sum(noted) / 3))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "rsbench", "leaderboard", *arguments], env=environment, capture_output=True, text=True
    )


def test_the_command_writes_checks_and_refuses(tmp_path: Path) -> None:
    board(tmp_path / "records", run())
    given = [str(tmp_path / "records"), "--time-to", "--format", "markdown", "--output", str(tmp_path / "board.md")]
    assert command(*given).returncode == 0
    assert command(*given, "--check").returncode == 0
    assert command(*given, "--target", "0.95", "--check").returncode == 1
    for wrong, said in (
        (["--target", "0.9"], "goes with --time-to"),
        (["--time-to", "--throughput"], "--throughput goes with"),
        (["--time-to", "--format", "html"], "not as 'html'"),
        (["--time-to", "--target", "97"], "0.97 stands for 97 %"),
    ):
        done = command(str(tmp_path / "records"), *wrong)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "--time-to --target 0.9" in command("--help").stdout


# The plot


def test_the_mean_of_seeds_is_a_staircase_from_where_all_have_a_score() -> None:
    paths = [[(10.0, 40.0), (20.0, 80.0)], [(15.0, 60.0), (30.0, 70.0), (45.0, 90.0)]]
    assert budget.mean_steps(paths) == [(15.0, 50.0), (20.0, 70.0), (30.0, 75.0), (45.0, 85.0)]


def test_only_what_rises_is_kept_and_long_lines_are_thinned() -> None:
    flat = [(1.0, 50.0), (2.0, 50.0), (3.0, 60.0), (4.0, 60.0), (5.0, 60.0)]
    assert budget.mean_steps([flat]) == [(1.0, 50.0), (3.0, 60.0), (5.0, 60.0)]
    long = budget.mean_steps([[(float(k), float(k)) for k in range(1, 1000)]])
    assert len(long) <= budget.MOST
    assert long[-1] == (999.0, 999.0)


def test_a_plot_for_each_machine_shows_the_best_so_far(tmp_path: Path) -> None:
    shown = made.board(tmp_path, run(), run("other"), run("far", device="NVIDIA H200"))
    (table,) = shown.tables
    drawn = budget.figures(series_of(table, 0))
    assert [f.caption.partition("Measured on ")[2].partition(",")[0] for f in drawn] == ["AMD EPYC", "NVIDIA H200"]
    assert [f.drawing.count('class="line') for f in drawn] == [2, 1]
    assert "Best validation accuracy (%) within a budget" in html.render(shown)
    assert html.render(shown) == html.render(shown)


def test_without_seconds_there_is_no_plot(tmp_path: Path) -> None:
    shown = made.board(tmp_path, made.record("bare"))
    assert budget.figures(series_of(shown.tables[0], 0)) == []
