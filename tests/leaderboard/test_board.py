from __future__ import annotations

import copy
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsbench.leaderboard.board import build
from rsbench.leaderboard.rank import BORROWED, OTHER_SAMPLES, UNRANKED, common_pool, rank
from rsbench.leaderboard.render import data, markdown, terminal
from rsbench.leaderboard.rows import Measured
from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import evaluate
from rsbench.metrics.intervals import holm
from rsbench.metrics.two_level import Pool, difference, summarize
from rsbench.records import store
from rsbench.records.verify import verify
from rsbench.registry import registry
from rsbench.tasks.classification import breakdown
from rsbench.tasks.classification import files as prediction_files

FIXTURE = json.loads((Path(__file__).parent.parent / "data" / "record-1.json").read_text())
N = 1000
TRUTH = np.arange(N) % 10


def add(
    folder: Path,
    system: str,
    accuracy: float,
    seed: int = 0,
    tags: tuple[str, ...] = (),
    division: str = "closed",
    checks: tuple = (),
    stream: int | None = None,
) -> Path:
    """Write a record whose predictions have the given accuracy; the same *stream* errs on the same samples."""
    rng = np.random.default_rng(zlib.crc32(f"{system} {seed}".encode()) if stream is None else stream)
    order = rng.permutation(N)
    labels = TRUTH.copy()
    wrong = order[: round((1 - accuracy) * N)]
    labels[wrong] = (labels[wrong] + 1) % 10
    record: dict[str, Any] = copy.deepcopy(FIXTURE)
    run_id = f"{system}-s{seed}-{division}"
    place = folder / run_id
    place.mkdir(parents=True)
    path = place / "predictions.parquet"
    p = np.full((N, 10), 0.02)
    p[np.arange(N), labels] = 0.82
    prediction_files.write(path, [f"i{k}" for k in range(N)], TRUTH, labels, p)
    made, references = prediction_files.read(path)
    context = MetricContext("classification", tuple(record["plan"]["dataset"]["classes"]))
    specs = [registry().get("metric", m) for m in ("overall_accuracy", "macro_f1", "ece")]
    record["metrics"] = evaluate(specs, made, references, context, primary="overall_accuracy")
    record["by_group"] = breakdown(made, references, context.classes)
    record["plan"]["model"] |= {"name": system, "label": system, "tags": list(tags)}
    record["plan"]["protocol"]["split_sizes"]["test"] = N
    record |= {"run_id": run_id, "checks": list(checks)}
    record["plan"] |= {"seed": seed, "division": division, "run_id": run_id}
    record["artifacts"] = {
        "predictions": {"path": path.name, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}
    }
    return store.save(record, place)


def add_seeds(folder: Path, system: str, accuracy: float, seeds: int = 3, **options: Any) -> None:
    """As many seeds of one accuracy; they err on different samples unless they share a stream."""
    for seed in range(seeds):
        add(folder, system, accuracy, seed, **options)


def rows(folder: Path, **filters: Any) -> dict[str, Any]:
    (table,) = build(store.load_all([folder]), **filters).tables
    return {r.system: r for r in table.rows}


def test_seeds_are_averaged_and_ranks_follow_the_mean(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.90, 0.92, 0.94)):
        add(tmp_path, "good", accuracy, seed)
    add_seeds(tmp_path, "weak", 0.60)
    found = rows(tmp_path)
    assert found["good"].mean == pytest.approx(0.92)
    assert found["good"].deviation == pytest.approx(0.02)
    assert found["good"].seeds == (0, 1, 2)
    assert found["good"].scores == pytest.approx((0.90, 0.92, 0.94))
    low, high = found["good"].interval
    assert low < 0.92 < high
    assert high - low > 2 * 1.96 * 0.02 / np.sqrt(3)  # with the luck of three seeds in it
    assert (found["good"].rank, found["weak"].rank) == (1, 2)
    assert found["weak"].deviation == pytest.approx(0, abs=1e-12)


def test_what_cannot_be_told_apart_shares_a_rank_and_a_letter(tmp_path: Path) -> None:
    add_seeds(tmp_path, "a", 0.900)
    add_seeds(tmp_path, "b", 0.897)
    add_seeds(tmp_path, "c", 0.70)
    found = rows(tmp_path)
    assert [found[s].rank for s in "abc"] == [1, 1, 3]
    assert [found[s].rank_interval for s in "abc"] == [(1, 2), (1, 2), (3, 3)]
    assert [found[s].letters for s in "abc"] == [("a",), ("a",), ("b",)]


def test_a_small_but_certain_difference_separates(tmp_path: Path) -> None:
    """b errs where a errs and on 15 more: the paired test sees it where intervals overlap."""
    add_seeds(tmp_path, "a", 0.900, stream=5)
    add_seeds(tmp_path, "b", 0.885, stream=5)
    found = rows(tmp_path)
    assert found["a"].interval[0] < found["b"].interval[1]
    assert [found[s].rank for s in "ab"] == [1, 2]


def test_luck_of_the_seed_is_no_difference(tmp_path: Path) -> None:
    """Three points apart, far beyond the test samples' error, with seeds that differ by as much."""
    for seed in range(3):
        add(tmp_path, "a", 0.90 + 0.03 * (seed - 1), seed, stream=5)
        add(tmp_path, "b", 0.87 + 0.03 * (seed - 1), seed, stream=6)
    found = rows(tmp_path)
    assert [found[s].rank for s in "ab"] == [1, 1]
    assert found["b"].p_above > 0.2


def test_one_seed_borrows_from_systems_of_several(tmp_path: Path) -> None:
    """Without them it has no rank, and its record's own interval."""
    add(tmp_path, "lone", 0.80)
    add_seeds(tmp_path, "a", 0.90)
    found = rows(tmp_path)
    own = store.load_all([tmp_path / "lone-s0-closed"])[0].record["metrics"]["overall_accuracy"]["ci95"]
    assert (found["lone"].rank, found["lone"].p_above, found["lone"].flags) == (None, None, [])
    assert found["lone"].notes == [UNRANKED]
    assert list(found["lone"].interval) == own
    assert found["a"].rank == 1
    for system in "bc":
        add_seeds(tmp_path, system, 0.85)
    found = rows(tmp_path)
    assert found["lone"].rank == 4
    assert found["lone"].notes == [BORROWED]
    assert found["lone"].interval[1] - found["lone"].interval[0] > own[1] - own[0]


def test_controls_and_flagged_rows_have_no_rank(tmp_path: Path) -> None:
    add_seeds(tmp_path, "line", 0.95, tags=("control",))
    add_seeds(tmp_path, "odd", 0.93, checks=({"name": "gate:above-chance", "ok": False, "detail": "low"},))
    add_seeds(tmp_path, "fine", 0.90, checks=({"name": "preflight:gradients", "ok": False, "detail": "x"},))
    found = rows(tmp_path)
    assert (found["line"].rank, found["odd"].rank, found["fine"].rank) == (None, None, 1)
    assert found["odd"].flags == ["fails above-chance: low"]


def test_the_lowest_is_best_where_the_metric_says_so(tmp_path: Path) -> None:
    for system, score in (("low", 0.7), ("lower", 0.6), ("high", 0.9)):
        add_seeds(tmp_path, system, score)
    (table,) = build(store.load_all([tmp_path])).tables
    assert [(row.system, row.rank) for row in table.rows] == [("high", 1), ("low", 2), ("lower", 3)]
    table.higher_is_better = False
    rank(table)
    assert [(row.system, row.rank) for row in table.rows] == [("lower", 1), ("low", 2), ("high", 3)]


def test_a_control_says_nothing_of_the_seeds_of_others() -> None:
    effects = np.random.default_rng(0).normal(0, 0.01, (3, 100))
    measured = Measured(summarize([0.7, 0.8, 0.9], list(effects), 100), b"samples")
    assert common_pool(b"samples", [(measured, True)]) == Pool()
    assert common_pool(b"others", [(measured, False)]) == Pool()
    assert common_pool(b"samples", [(measured, False), (None, False)]).df == 2


def test_other_test_samples_are_not_ranked(tmp_path: Path) -> None:
    """Predictions from elsewhere may lack samples; the rows of most stand."""
    for system in "abc":
        add_seeds(tmp_path, system, 0.9, seeds=2)
    for seed in range(2):
        path = add(tmp_path, "odd", 0.8, seed).with_name("predictions.parquet")
        made, references = prediction_files.read(path)
        prediction_files.write(path, [f"x{i}" for i in made.ids], references, made.labels, made.probabilities)
        record = json.loads(path.with_name("record.json").read_text())
        record["artifacts"]["predictions"] |= {"sha256": store.sha256_file(path), "bytes": path.stat().st_size}
        path.with_name("record.json").write_text(json.dumps(record))
    found = rows(tmp_path)
    assert found["odd"].flags == [OTHER_SAMPLES]
    assert [found[s].rank for s in "abc"] == [1, 1, 1]


def test_identical_predictions_are_flagged(tmp_path: Path) -> None:
    add_seeds(tmp_path, "a", 0.9, stream=1)
    add_seeds(tmp_path, "b", 0.9, stream=1)
    found = rows(tmp_path)
    assert [r.rank for r in found.values()].count(None) == 1
    assert any("identical" in f for r in found.values() for f in r.flags)


def test_debug_runs_are_left_out_and_divisions_filtered(tmp_path: Path) -> None:
    add(tmp_path, "a", 0.9)
    add(tmp_path, "a", 0.99, division="debug", seed=3)
    add(tmp_path, "a", 0.8, division="open")
    (table,) = build(store.load_all([tmp_path])).tables
    assert sorted(r.division for r in table.rows) == ["closed", "open"]
    assert rows(tmp_path, division="open")["a"].mean == pytest.approx(0.8)
    assert build(store.load_all([tmp_path]), dataset="other").tables == []


def test_missing_predictions_are_said(tmp_path: Path) -> None:
    add(tmp_path, "a", 0.9).with_name("predictions.parquet").unlink()
    add_seeds(tmp_path, "b", 0.5)
    found = rows(tmp_path)
    assert found["a"].flags == ["no predictions available"]
    assert (found["a"].rank, found["b"].rank) == (None, 1)


def test_bytes_do_not_depend_on_order_or_time(tmp_path: Path) -> None:
    for system, accuracy in (("a", 0.9), ("b", 0.8), ("c", 0.7)):
        add_seeds(tmp_path, system, accuracy)
    loaded = store.load_all([tmp_path])
    for render in (markdown.render, data.render_csv, data.render_json, lambda b: terminal.render(b, 160)):
        assert render(build(loaded)) == render(build(loaded[::-1]))
    assert re.search(r"\| 1 +\| 1 +\| a +\| a ", markdown.render(build(loaded)))
    written = json.loads(data.render_json(build(loaded)))
    assert "Smyth 2004" in written["note"]
    first = written["rows"][0]
    assert first["mean"] == pytest.approx(0.9)
    assert [float(v) for v in first["scores"].split()] == pytest.approx([0.9] * 3)
    assert (first["rank_low"], first["rank_high"], first["letters"]) == (1, 1, "a")
    assert (first["pool_df"], first["pool_nu"], first["comparisons"], first["level"]) == (6, 1.5, 3, 0.05)


def test_formulas_in_names_are_harmless_in_csv(tmp_path: Path) -> None:
    add(tmp_path, "plain", 0.5)
    record = json.loads((tmp_path / "plain-s0-closed" / "record.json").read_text())
    record["plan"]["model"]["label"] = "=cmd|' /C calc'!A0"
    (tmp_path / "plain-s0-closed" / "record.json").write_text(json.dumps(record))
    text = data.render_csv(build(store.load_all([tmp_path])))
    assert "'=cmd" in text
    assert ",=cmd" not in text


def test_verify_finds_changed_numbers_and_files(tmp_path: Path) -> None:
    path = add(tmp_path, "a", 0.9)
    made_up = verify(store.load_all([tmp_path])[0])  # its plan, split and training are not those of its predictions
    record = json.loads(path.read_text())
    record["metrics"]["macro_f1"]["value"] += 1e-6
    record["metrics"]["ece"]["ci95"][0] -= 1e-3
    path.write_text(json.dumps(record))
    wrong = [w for w in verify(store.load_all([tmp_path])[0]) if w not in made_up]
    assert [w.partition(":")[0] for w in wrong] == ["macro_f1", "ece"]
    predictions = path.with_name("predictions.parquet")
    predictions.write_bytes(predictions.read_bytes() + b" ")
    assert verify(store.load_all([tmp_path])[0]) == [
        "predictions.parquet is not the file that the record was made from"
    ]


def test_rows_at_or_below_a_floor_are_not_ranked(tmp_path: Path) -> None:
    add_seeds(tmp_path, "question-only", 0.7, tags=("control",))  # a floor by its model's spec
    add_seeds(tmp_path, "their-blind-one", 0.72, tags=("control", "floor"))
    add_seeds(tmp_path, "some-other-baseline", 0.9, tags=("control",))
    for system, accuracy in (("above", 0.75), ("between", 0.71), ("level", 0.7)):
        add_seeds(tmp_path, system, accuracy)
    (table,) = build(store.load_all([tmp_path])).tables
    found = {row.system: (row.rank, row.flags) for row in table.rows if not row.baseline}
    assert found["above"] == (1, [])
    assert found["between"] == (None, ["not above their-blind-one: 0.7100 against 0.7200"])
    assert found["level"][0] is None
    assert "not above question-only: 0.7000 against 0.7000" in found["level"][1]


def test_p_values_against_the_row_above_are_those_of_all_pairs(tmp_path: Path) -> None:
    for system, accuracy in (("a", 0.95), ("b", 0.90), ("c", 0.897)):
        add_seeds(tmp_path, system, accuracy)
    (table,) = build(store.load_all([tmp_path])).tables
    pairs = [(0, 1), (0, 2), (1, 2)]
    systems = [row.measured.system for row in table.rows if row.measured]
    raw = [float(difference(systems[i], systems[j], table.pool).p) for i, j in pairs]  # type: ignore[union-attr]
    a, b, c = table.rows
    assert (a.p_above, a.p_unadjusted) == (None, None)
    assert [b.p_unadjusted, c.p_unadjusted] == pytest.approx([raw[0], raw[2]], rel=1e-9)
    assert [b.p_above, c.p_above] == pytest.approx([holm(raw)[0], holm(raw)[2]], rel=1e-9)
    written = json.loads(data.render_json(build(store.load_all([tmp_path]))))["rows"]
    assert written[1]["p_above"] == float(f"{b.p_above:.10g}")
