"""Two systems compared: the numbers of the golden file, groups, and what is refused."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rsbench.cli.app import build
from rsbench.errors import UserError
from rsbench.leaderboard.compare import compare
from rsbench.metrics.intervals import mcnemar_exact
from rsbench.metrics.paired import paired_bootstrap
from rsbench.records.store import LoadedRecord, load_all
from rsbench.tasks.kinds import kind_of

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records" / "eurosat"


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the draws, which moves the end of an interval by some hundredths of the standard error."""
    monkeypatch.setattr("rsbench.leaderboard.compare.paired_bootstrap", partial(paired_bootstrap, resamples=2_000))


def loaded(pattern: str) -> list[LoadedRecord]:
    return load_all(sorted(RECORDS.glob(pattern)))


def right(record: LoadedRecord) -> np.ndarray:
    path = record.artifact("predictions")
    assert path is not None
    outcome = kind_of("classification").read(path)
    by_id = dict(zip(outcome.predictions.ids, outcome.predictions.labels == outcome.references, strict=True))
    return np.array([by_id[i] for i in sorted(by_id)])


def test_single_runs_agree_with_counts_by_hand() -> None:
    a, b = loaded("eurosat-baseline-cnn-*-s0-*"), loaded("eurosat-timm-resnet18-*-s0-*")
    found = compare(a, b)
    ours, theirs = right(a[0]), right(b[0])
    first = found.metrics[0]
    assert first.name == "overall_accuracy"
    assert first.value == pytest.approx(ours.mean() - theirs.mean(), abs=1e-12)
    assert found.mcnemar is not None
    assert (found.mcnemar.only_a, found.mcnemar.only_b) == (int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))
    assert found.mcnemar.p == mcnemar_exact(found.mcnemar.only_a, found.mcnemar.only_b)
    # the standard error of a paired difference of proportions, and what it takes to see it in 80 % of cases
    difference = ours.astype(float) - theirs
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * error, rel=0.1)
    assert first.low == pytest.approx(first.value - 1.96 * error, abs=0.3 * error)
    assert sum(g.n for g in found.groups) == first.n
    weighted = sum(g.value * g.n for g in found.groups) / first.n
    assert weighted == pytest.approx(first.value, abs=1e-12)


def test_sides_change_places() -> None:
    a, b = loaded("eurosat-baseline-cnn-*-s0-*"), loaded("eurosat-timm-resnet18-*-s0-*")
    there, back = compare(a, b), compare(b, a)
    for x, y in zip(there.metrics, back.metrics, strict=True):
        assert x.value == pytest.approx(-y.value, abs=1e-12)
        assert (x.low, x.high) == pytest.approx((-y.high, -y.low), abs=0.05 * (x.high - x.low) + 2 / 5400)


def test_seeds_are_averaged_for_means_and_have_no_mcnemar() -> None:
    a, b = loaded("eurosat-baseline-cnn-*"), loaded("eurosat-timm-resnet18-*")
    found = compare(a, b)
    means = [np.mean([right(r).mean() for r in side]) for side in (a, b)]
    assert (found.metrics[0].a, found.metrics[0].b) == pytest.approx(means, abs=1e-12)
    assert found.mcnemar is None


def test_the_same_run_does_not_differ_from_itself() -> None:
    a = loaded("eurosat-baseline-cnn-*-s0-*")
    found = compare(a, a)
    assert {d.value for d in found.metrics} == {0.0}
    assert found.detectable == 0.0
    assert {d.p for d in found.groups} == {1.0}


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
    assert "would be found in four cases of five" in " ".join(done.output.split())
    as_json = CliRunner().invoke(build(), ["compare", *patterns, "--json"])
    assert json.loads(as_json.output)["metrics"][0]["name"] == "overall_accuracy"
