"""One draw of resamples serves all metrics, and changes none of them."""

from __future__ import annotations

import numpy as np
import pytest
from rsbench_metrics.confusion import CohenKappa, MacroF1
from rsbench_metrics.probability import ConfidenceGap, ExpectedCalibrationError
from rsbench_metrics.specs import METRICS

from rsbench.metrics import resample
from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.evaluate import build, evaluate
from rsbench.metrics.resample import bootstrap_intervals, replicates
from rsbench.tasks.classification import Predictions

CONTEXT = MetricContext("classification", tuple("abcdef"))


def bootstrap_interval(
    metric: Metric, rows: np.ndarray, clusters: np.ndarray | None = None, resamples: int = 10_000
) -> tuple[float, float] | None:
    return bootstrap_intervals([metric], [rows], clusters, resamples=resamples)[0]


def sample(n: int, seed: int = 0, sure: float = 1.5, absent: int | None = None) -> tuple[Predictions, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice([k for k in range(6) if k != absent], n)
    logits = rng.normal(0, 1, (n, 6))
    logits[np.arange(n), truth] += sure
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions([str(i) for i in range(n)], p.argmax(1), p), truth


class MedianConfidence(Metric):
    """Not a function of a sum."""

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        assert predictions.probabilities is not None
        return predictions.probabilities.max(1)[:, None]

    def reduce(self, statistics: np.ndarray) -> float:
        return float(np.median(statistics))


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("n", [40, 300])
def test_together_is_one_by_one(n: int, clustered: bool) -> None:
    predictions, truth = sample(n)
    clusters = np.arange(n) // 4 if clustered else None
    metrics = [*(build(spec, CONTEXT) for spec in METRICS), MedianConfidence()]
    rows = [m.statistics(predictions, truth) for m in metrics]
    together = bootstrap_intervals(metrics, rows, clusters, resamples=300)
    for metric, part, interval in zip(metrics, rows, together, strict=True):
        assert bootstrap_interval(metric, part, clusters, resamples=300) == pytest.approx(interval, abs=1e-12)


@pytest.mark.parametrize("clustered", [False, True])
def test_chunks_do_not_matter(clustered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, truth = sample(150)
    clusters = np.arange(150) // 3 if clustered else None
    metrics = [build(spec, CONTEXT) for spec in METRICS]
    rows = [m.statistics(predictions, truth) for m in metrics]
    whole = replicates(metrics, rows, clusters, resamples=200, seed=5)
    monkeypatch.setattr(resample, "CHUNK", 7)
    resample._draw.cache_clear()
    for a, b in zip(whole, replicates(metrics, rows, clusters, resamples=200, seed=5), strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-12, equal_nan=True)
    resample._draw.cache_clear()


@pytest.mark.parametrize("clustered", [False, True])
def test_every_metric_is_scored_on_the_same_resamples(clustered: bool) -> None:
    """Of sums, by products; of others, by their rows: against plain loops over drawn units, seed 0."""
    predictions, truth = sample(60)
    clusters = np.random.default_rng(1).integers(0, 12, 60) if clustered else None
    members = [[i] for i in range(60)]
    if clusters is not None:
        members = [list(np.flatnonzero(clusters == c)) for c in np.unique(clusters)]
    metrics = [MacroF1(CONTEXT), MedianConfidence(), ExpectedCalibrationError(CONTEXT)]
    rows = [m.statistics(predictions, truth) for m in metrics]
    rng = np.random.Generator(np.random.PCG64(0))
    drawn = [[i for u in units for i in members[u]] for units in rng.integers(0, len(members), (50, len(members)))]
    for metric, part, scores in zip(metrics, rows, replicates(metrics, rows, clusters, resamples=50), strict=True):
        np.testing.assert_allclose(scores, [metric.reduce(part[i]) for i in drawn], rtol=0, atol=1e-12)


def test_clusters_of_cells_are_drawn_as_by_index() -> None:
    """Sums of clusters against gathering the rows of drawn clusters, for unequal clusters and a ratio of sums."""
    predictions, truth = sample(240)
    clusters = np.random.default_rng(2).integers(0, 60, 240)
    metric = MacroF1(CONTEXT)
    rows = metric.statistics(predictions, truth)
    names = np.unique(clusters)
    rng = np.random.default_rng(4)
    plain = []
    for _ in range(3000):
        chosen = rng.choice(names, len(names))
        plain.append(metric.reduce(np.concatenate([rows[clusters == c] for c in chosen])))
    found = bootstrap_interval(metric, rows, clusters)
    assert found == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.012)


def test_names_of_clusters_and_singletons_do_not_matter() -> None:
    predictions, truth = sample(200)
    metric = CohenKappa(CONTEXT)
    rows = metric.statistics(predictions, truth)
    numbers = np.arange(200) // 5
    named = np.array([f"image-{k:03d}" for k in numbers])
    assert bootstrap_interval(metric, rows, numbers) == bootstrap_interval(metric, rows, named)
    alone = bootstrap_interval(metric, rows, np.arange(200))
    assert alone == pytest.approx(bootstrap_interval(metric, rows), abs=0.015)


def test_undefined_resamples_do_not_spoil_an_interval() -> None:
    """With two errors among forty, some resamples have no error and therefore no confidence gap."""
    predictions, truth = sample(40, sure=30.0)
    assert predictions.probabilities is not None
    wrong = truth.copy()
    wrong[:2] = (wrong[:2] + 1) % 6
    metric = ConfidenceGap(CONTEXT)
    rows = metric.statistics(predictions, wrong)
    scores = replicates([metric], [rows])[0]
    assert 0.05 < np.isnan(scores).mean() < 0.3  # (1 - 2 / 40)^40 = 0.13
    low, high = bootstrap_interval(metric, rows)  # type: ignore[misc]
    assert low < metric.reduce(rows) < high
    never = metric.statistics(predictions, truth)
    assert bootstrap_interval(metric, never) is None


@pytest.mark.parametrize("absent", [None, 2])
def test_against_scikit_learn_where_a_class_is_absent(absent: int | None) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    for seed in range(4):
        predictions, truth = sample(90, seed, absent=absent)
        p = predictions.probabilities
        assert p is not None
        # scikit-learn's classes are those of references or predictions
        theirs = {
            "average_accuracy": np.nanmean(
                [np.mean(predictions.labels[truth == k] == k) for k in range(6) if (truth == k).any()]
            ),
            "macro_f1": sk.f1_score(truth, predictions.labels, average="macro", zero_division=0),
            "weighted_f1": sk.f1_score(truth, predictions.labels, average="weighted", zero_division=0),
            "cohen_kappa": sk.cohen_kappa_score(truth, predictions.labels),
            "mcc": sk.matthews_corrcoef(truth, predictions.labels),
            "top3_accuracy": sk.top_k_accuracy_score(truth, p, k=3, labels=range(6)),
            "top5_accuracy": sk.top_k_accuracy_score(truth, p, k=5, labels=range(6)),
            "nll": sk.log_loss(truth, p, labels=range(6)),
            "brier": np.mean(np.sum((p - np.eye(6)[truth]) ** 2, axis=1)),
            "overconfidence": p.max(1).mean() - np.mean(predictions.labels == truth),
        }
        found = evaluate(METRICS, predictions, truth, CONTEXT, primary="overall_accuracy")
        for name, value in theirs.items():
            assert found[name]["value"] == pytest.approx(value, abs=1e-12), name


def test_entries_of_a_clustered_evaluation() -> None:
    predictions, truth = sample(120)
    clusters = np.arange(120) // 10
    found = evaluate(METRICS, predictions, truth, CONTEXT, primary="mcc", clusters=clusters)
    assert {e["clusters"] for e in found.values()} == {12}
    assert found["overall_accuracy"]["method"] == "influence-t"
    assert [name for name, e in found.items() if e["primary"]] == ["mcc"]
    assert list(found) == [spec.name for spec in METRICS]


def test_many_classes_stay_small() -> None:
    """Statistics of 500 classes: one number a sample, not a row of 250,000."""
    context = MetricContext("classification", tuple(map(str, range(500))))
    labels = np.arange(2000) % 500
    metric = MacroF1(context)
    rows = metric.statistics(Predictions([], labels), labels)
    assert rows.shape == (2000, 1)
    assert metric.reduce(rows) == 1.0
