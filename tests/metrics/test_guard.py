"""Metrics that write into what they are given, raise, or give something else than rows: the others keep their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rsbench.containment import Origin
from rsbench.metrics.contract import Metric, MetricContext, Unavailable
from rsbench.metrics.evaluate import collect, evaluate
from rsbench.metrics.guard import read_only, statistics_of
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.classification import Predictions

CONTEXT = MetricContext("classification", ("a", "b", "c"))
LABELS, TRUTH = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 0])


class Right(Metric):
    """Whether each sample is right: what the harmful ones below do beside it is the test."""

    def __init__(self, context: MetricContext) -> None:
        self.context = context

    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        return (predictions.labels == references).astype(np.float64)[:, None]

    def reduce(self, statistics: np.ndarray) -> float:
        return float(statistics.mean())


class WritesReferences(Right):
    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        references[:] = predictions.labels
        return super().statistics(predictions, references)


class WritesPredictions(Right):
    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        predictions.labels[:] = references
        return super().statistics(predictions, references)


class SortsIds(Right):
    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        predictions.ids.sort()
        return super().statistics(predictions, references)


class WritesRows(Right):
    def reduce(self, statistics: np.ndarray) -> float:
        statistics[:] = 1
        return super().reduce(statistics)


class RaisesInReduce(Right):
    def reduce(self, statistics: np.ndarray) -> float:
        raise ZeroDivisionError("by design")


class GivesOneNumber(Right):
    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        return np.ones(len(predictions))


class GivesObjects(Right):
    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        return np.array([[object()]] * len(predictions))


class GivesText(Right):
    def statistics(self, predictions: Any, references: Any) -> Any:
        return "rows"


class ScoresNone(Right):
    def reduce(self, statistics: np.ndarray) -> Any:
        return None


def cannot_be_built(context: MetricContext) -> Metric:
    raise KeyError("absent")


HARMFUL = {
    "WritesReferences": "ValueError: assignment destination is read-only",
    "WritesPredictions": "ValueError: assignment destination is read-only",
    "SortsIds": "AttributeError: 'tuple' object has no attribute 'sort'",
    "WritesRows": "ValueError: assignment destination is read-only",
    "RaisesInReduce": "ZeroDivisionError: by design",
    "GivesOneNumber": "it gave [4] of float64 as statistics of 4 samples, not numbers [N, k]",
    "GivesObjects": "it gave [4, 1] of object as statistics of 4 samples",
    "GivesText": "it gave str as statistics of 4 samples",
    "ScoresNone": "it gave NoneType as its score, not a number",
    "cannot_be_built": "KeyError: 'absent'",
}


def spec(factory: str) -> MetricSpec:
    return MetricSpec(
        name=factory,
        summary="",
        factory=f"{__name__}:{factory}",
        tasks=("classification",),
        higher_is_better=True,
        range=(0, 1),
        unit="fraction",
    )


@pytest.mark.parametrize("harmful", HARMFUL)
def test_a_harmful_metric_is_null_with_its_reason_and_the_others_stay(harmful: str) -> None:
    specs = [spec(harmful), registry().get("metric", "overall_accuracy"), spec("Right")]
    made, truth = Predictions(["d", "c", "b", "a"], LABELS.copy()), TRUTH.copy()
    found = evaluate(specs, made, truth, CONTEXT, primary="Right")
    assert found["overall_accuracy"]["value"] == found["Right"]["value"] == 0.5
    assert found["Right"]["ci95"] is not None
    assert (found[harmful]["value"], found[harmful]["ci95"]) == (None, None)
    assert HARMFUL[harmful] in found[harmful]["note"]
    assert made.ids == ["d", "c", "b", "a"]
    assert (made.labels == LABELS).all()
    assert (truth == TRUTH).all()
    assert made.labels.flags.writeable, "the caller's own arrays stay as they were"


@pytest.mark.parametrize("harmful", ["GivesOneNumber", "ScoresNone", "RaisesInReduce"])
def test_what_is_refused_of_a_metric_by_others_names_its_distribution(
    harmful: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry()._packages, __name__, Origin("theirs", "rsbench-theirs", "1"))
    found = evaluate([spec(harmful)], Predictions(list("dcba"), LABELS), TRUTH, CONTEXT, primary=harmful)
    text = HARMFUL[harmful] if harmful != "RaisesInReduce" else f"it raised {HARMFUL[harmful]}"
    assert found[harmful]["note"].startswith(text)
    assert found[harmful]["note"].endswith(" (plugin 'theirs' (distribution 'rsbench-theirs'))")


def test_statistics_that_are_kept_name_what_went_wrong() -> None:
    rows, reasons = collect([spec("WritesReferences"), spec("Right")], Predictions([], LABELS), TRUTH, CONTEXT)
    assert rows["Right"].tolist() == [[1], [1], [0], [0]]
    assert list(reasons) == ["WritesReferences"]


def test_a_metric_that_is_not_available_keeps_its_own_words() -> None:
    class Absent(Right):
        def statistics(self, predictions: Any, references: Any) -> np.ndarray:
            raise Unavailable("Java is not installed")

    with pytest.raises(Unavailable, match=r"^Java is not installed$"):
        statistics_of(Absent(CONTEXT), Predictions([], LABELS), TRUTH)


@dataclass
class Container:
    """Of a plugin's task."""

    boxes: list[np.ndarray]
    by_name: dict[str, list[list[str]]]


def test_containers_are_read_only_all_the_way_down() -> None:
    given = Container([np.zeros(2)], {"a": [["b"], ["c"]]})
    locked = read_only(given)
    with pytest.raises(ValueError, match="read-only"):
        locked.boxes[0][0] = 1
    with pytest.raises(TypeError):
        locked.by_name["a"] = []
    assert locked.by_name["a"] == (("b",), ("c",))
    assert given == Container(given.boxes, {"a": [["b"], ["c"]]})
    given.boxes[0][0] = 1  # the caller's own
