"""Two systems compared: the numbers of the golden file, groups, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_board import add
from typer.testing import CliRunner

from rsbench.cli.app import build
from rsbench.errors import UserError
from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.board import build as board
from rsbench.leaderboard.compare import compare, siblings
from rsbench.metrics.intervals import mcnemar_exact
from rsbench.records.store import LoadedRecord, load_all
from rsbench.tasks.task import get_task

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records" / "eurosat"


def loaded(pattern: str) -> list[LoadedRecord]:
    return load_all(sorted(RECORDS.glob(pattern)))


def right(record: LoadedRecord) -> np.ndarray:
    path = record.artifact("predictions")
    assert path is not None
    outcome = get_task("classification").read(path)
    by_id = dict(zip(outcome.predictions.ids, outcome.predictions.labels == outcome.references, strict=True))
    return np.array([by_id[i] for i in sorted(by_id)])


def test_single_runs_agree_with_counts_by_hand() -> None:
    """With nothing beside them, over these samples alone: the t test of a paired difference of proportions."""
    a, b = loaded("eurosat-baseline-cnn-*-s0-*"), loaded("eurosat-timm-resnet18-*-s0-*")
    found = compare(a, b)
    ours, theirs = right(a[0]), right(b[0])
    first = found.metrics[0]
    assert first.name == "overall_accuracy"
    assert first.value == pytest.approx(ours.mean() - theirs.mean(), abs=1e-12)
    assert found.mcnemar is not None
    assert (found.mcnemar.only_a, found.mcnemar.only_b) == (int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))
    assert found.mcnemar.p == mcnemar_exact(found.mcnemar.only_a, found.mcnemar.only_b)
    difference = ours.astype(float) - theirs
    reference = stats.ttest_1samp(difference, 0)
    assert (first.low, first.high) == pytest.approx(reference.confidence_interval(), rel=1e-9)
    assert {d.p for d in (*found.metrics, *found.groups)} == {None}
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * error, rel=1e-3)
    assert sum(g.n for g in found.groups) == first.n
    weighted = sum(g.value * g.n for g in found.groups) / first.n
    assert weighted == pytest.approx(first.value, abs=1e-12)


def test_one_seed_borrows_from_what_lies_beside_it(tmp_path: Path) -> None:
    """The same difference, with a wider interval for the luck of the seed and a p-value."""
    for system in ("one", "other"):
        add(tmp_path, system, 0.9)
    for system in ("x", "y", "z"):
        for seed in range(3):
            add(tmp_path, system, 0.8 + 0.02 * seed, seed)
    a, b = (load_all([tmp_path / f"{system}-s0-closed"]) for system in ("one", "other"))
    alone, beside = compare(a, b), compare(a, b, siblings(a))
    assert (alone.pool.df, beside.pool.df) == (0, 6)
    assert beside.metrics[0].value == alone.metrics[0].value
    assert beside.metrics[0].low < alone.metrics[0].low
    assert alone.metrics[0].p is None
    assert all(d.p is not None for d in (*beside.metrics, *beside.groups))


def test_sides_change_places() -> None:
    a, b = loaded("eurosat-baseline-cnn-*"), loaded("eurosat-timm-resnet18-*")
    there, back = compare(a, b), compare(b, a)
    for x, y in zip(there.metrics, back.metrics, strict=True):
        assert x.value == pytest.approx(-y.value, abs=1e-12)
        assert (x.low, x.high, x.p) == pytest.approx((-y.high, -y.low, y.p), rel=1e-9)


def test_every_metric_of_several_seeds_is_the_mean_of_theirs() -> None:
    """Macro F1, kappa and calibration too: no seed stands for the others."""
    a, b = loaded("eurosat-baseline-cnn-*"), loaded("eurosat-timm-resnet18-*")
    found = compare(a, b)
    assert len(found.metrics) > 10
    for d in found.metrics:
        means = [np.mean([r.record["metrics"][d.name]["value"] for r in side]) for side in (a, b)]
        assert (d.a, d.b) == pytest.approx(means, abs=1e-12), d.name
        assert d.low < d.value < d.high
    assert found.mcnemar is None


def neighbors() -> list[tuple[Table, Row, Row]]:
    """Ranked rows of the committed boards, each with the one below."""
    found = []
    for table in board(load_all([RECORDS.parent])).tables:
        ranked = [row for row in table.rows if row.rank is not None]
        found += [(table, *pair) for pair in pairwise(ranked)]
    return found


NEIGHBORS = neighbors()


@pytest.mark.parametrize(("table", "a", "b"), NEIGHBORS, ids=[f"{a.system}-{b.system}" for _, a, b in NEIGHBORS])
def test_neighbors_have_the_same_p_on_the_board(table: Table, a: Row, b: Row) -> None:
    found = compare(a.records, b.records, load_all([RECORDS.parent]))
    first = found.metrics[0]
    assert first.p == pytest.approx(b.p_unadjusted, rel=1e-9)
    assert (first.a, first.b) == pytest.approx((a.mean, b.mean), abs=1e-9)
    assert vars(found.pool) == pytest.approx(vars(table.pool))
    for d in found.metrics:
        assert (d.a, d.b) == pytest.approx((a.metrics[d.name], b.metrics[d.name]), abs=1e-9), d.name


def test_the_same_run_does_not_differ_from_itself() -> None:
    a = loaded("eurosat-baseline-cnn-*-s0-*")
    found = compare(a, a)
    assert {d.value for d in found.metrics} == {0.0}
    assert found.detectable == 0.0
    assert {d.p for d in found.groups} == {None}
    several = loaded("eurosat-baseline-cnn-*")
    assert {d.p for d in compare(several, several).groups} == {1.0}


def changed(records: list[LoadedRecord], **protocol: Any) -> list[LoadedRecord]:
    (one,) = records
    record = json.loads(json.dumps(one.record))
    record["plan"]["protocol"] |= protocol
    return [LoadedRecord(one.path, record)]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("eurosat-*", "The second side holds 6 configurations"),
        ("nothing", "The second side holds no record"),
    ],
)
def test_sides_must_be_one_configuration(pattern: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(loaded("eurosat-baseline-cnn-*"), loaded(pattern) if pattern != "nothing" else [])


def test_protocols_must_agree() -> None:
    a = loaded("eurosat-baseline-cnn-*-s0-*")
    with pytest.raises(UserError, match="different fingerprints"):
        compare(a, changed(a, fingerprint="0" * 64))


def test_command() -> None:
    patterns = [str(RECORDS / "eurosat-baseline-cnn-*"), str(RECORDS / "eurosat-timm-resnet18-*")]
    done = CliRunner().invoke(build(), ["compare", *patterns])
    assert done.exit_code == 0, done.output
    assert "macro_f1 (%)" in done.output
    assert "Pasture (%)" in done.output
    assert "Minimum detectable difference at 80 % power:" in " ".join(done.output.split())
    as_json = CliRunner().invoke(build(), ["compare", *patterns, "--json"])
    assert json.loads(as_json.output)["metrics"][0]["name"] == "overall_accuracy"
