"""Scoring of predictions from elsewhere, and keeping them as records."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsbench.data.prepare import prepare
from rsbench.data.splits import resolve
from rsbench.errors import UserError
from rsbench.records import external
from rsbench.records.store import load_all
from rsbench.records.verify import verify
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.kinds import Outcome
from rsbench.tasks.predictions import as_stored
from rsbench.tasks.score import predictions_of, score, score_files

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "classification.json").read_text())["cases"]


def scored(folder: Path, predictions: object, references: object, classes: list[str] | None = None) -> dict[str, Any]:
    (folder / "p.json").write_text(json.dumps(predictions))
    (folder / "r.json").write_text(json.dumps(references))
    return score_files(folder / "p.json", folder / "r.json", classes)


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(v - max(row)) for v in row]
    return [v / sum(powers) for v in powers]


@pytest.mark.parametrize("case", ["imbalanced_120", "absent_target_classes"])
def test_files_give_the_golden_values_in_any_order(tmp_path: Path, case: str) -> None:
    found = GOLDEN[case]
    references = [{"id": f"s{i}", "label": found["class_names"][t]} for i, t in enumerate(found["targets"])]
    predictions = [{"id": f"s{i}", "probabilities": softmax(row)} for i, row in enumerate(found["logits"])]
    result = scored(tmp_path, predictions[::-1], references, found["class_names"])
    values = {name: entry["value"] for name, entry in result["metrics"].items()}
    expected = found["expected"]
    assert values["overall_accuracy"] == pytest.approx(expected["overall_accuracy"], abs=1e-9)
    assert values["cohen_kappa"] == pytest.approx(expected["cohen_kappa"], abs=1e-9)
    assert values["average_accuracy"] == pytest.approx(expected["average_accuracy_present_classes"], abs=1e-9)
    assert values["nll"] == pytest.approx(expected["nll"], abs=1e-9)
    assert values["ece"] == pytest.approx(expected["ece_15"], abs=1e-9)
    assert result["by_group"]["confusion_matrix"] == expected["confusion_matrix"]
    assert (result["task"], result["n"]) == ("classification", expected["n"])


def test_numbers_as_labels_need_no_list_of_classes(tmp_path: Path) -> None:
    """The references lack classes 2 and 3; probabilities and labels show that there are four."""
    references = [{"id": 0, "label": 0}, {"id": 1, "label": 1}]
    rows = [[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1]]
    result = scored(tmp_path, [{"id": i, "probabilities": p} for i, p in enumerate(rows)], references)
    assert result["classes"] == ["0", "1", "2", "3"]
    assert result["metrics"]["overall_accuracy"]["value"] == 0.5
    labels = scored(tmp_path, [{"id": 0, "label": 0}, {"id": 1, "label": 3}], references)
    assert labels["metrics"]["overall_accuracy"]["value"] == 0.5
    assert labels["metrics"]["nll"]["value"] is None


def test_a_numeric_name_is_a_name(tmp_path: Path) -> None:
    """Names '3' and '7': the number 3 means the class of that name, not the fourth."""
    references = [{"id": 0, "label": "3"}, {"id": 1, "label": "7"}]
    result = scored(tmp_path, [{"id": 0, "label": 3}, {"id": 1, "label": 7}], references)
    assert result["metrics"]["overall_accuracy"]["value"] == 1.0


def test_order_of_classes_is_that_of_the_probabilities(tmp_path: Path) -> None:
    references = [{"id": 0, "label": "water"}, {"id": 1, "label": "forest"}]
    predictions = [{"id": 0, "probabilities": [0.9, 0.1]}, {"id": 1, "probabilities": [0.2, 0.8]}]
    named = scored(tmp_path, predictions, references, ["water", "forest"])
    alphabetical = scored(tmp_path, predictions, references)
    assert named["metrics"]["overall_accuracy"]["value"] == 1.0
    assert alphabetical["metrics"]["overall_accuracy"]["value"] == 0.0


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([{"id": 0, "label": 0}], [{"id": k, "label": 0} for k in range(4)], r"no prediction for '1' \(and 2 more\)"),
        ([{"id": k, "label": 0} for k in range(3)], [{"id": 0, "label": 0}], r"'1' \(and 1 more\) has no reference"),
        ([{"id": 0, "probabilities": [1.5, -0.5]}], [{"id": 0, "label": 1}], r"'0' has a negative probability, -0.5"),
        ([{"id": 0, "probabilities": [math.nan, 1]}], [{"id": 0, "label": 1}], "'0' has a probability that is not a"),
        ([{"id": 0, "probabilities": "high"}], [{"id": 0, "label": 1}], "no list of probabilities"),
        ([{"id": 0, "label": 0}, {"id": 1, "label": 0}], [{"id": 0, "label": 0}, {"id": 1, "label": "a"}], "one of the two"),
        ([{"id": 0, "label": "rivr"}], [{"id": 0, "label": "river"}], "Did you mean 'river'"),
        ([{"id": 0, "label": 10**9}], [{"id": 0, "label": 0}], "too high"),
        ([{"id": 0, "label": 0}], [{"id": 0, "label": -1}], "Reference '0' has label '-1'"),
        ([{"id": 0, "label": 0}], [{"id": 0}], "Reference '0' has no 'label'"),
        ([{"id": 0}], [{"id": 0, "label": 0}], "Prediction '0' has label 'None'"),
        ({"0": 1}, [{"id": 0, "label": 0}], "list of objects"),
    ],
)  # fmt: skip
def test_one_sentence_for_each_mistake(tmp_path: Path, predictions: object, references: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        scored(tmp_path, predictions, references)


def test_classes_must_differ(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="named twice"):
        scored(tmp_path, [{"id": 0, "label": "a"}], [{"id": 0, "label": "a"}], ["a", "a"])


def test_an_external_record_with_probabilities_is_verified_and_never_overwritten(tmp_path: Path) -> None:
    spec, protocol = registry().get("dataset", "eurosat"), registry().get("protocol", "in-domain-60-20-20")
    load_attribute(spec.fake)(tmp_path / "files", spec, per_class=9)
    stored = prepare(spec, tmp_path / "files", tmp_path)
    test = resolve(stored, protocol).test
    p = np.random.default_rng(0).dirichlet(np.full(10, 0.1), len(test))
    given = predictions_of(
        [{"id": stored.ids[i], "probabilities": row.tolist()} for i, row in zip(test, p, strict=True)],
        {stored.ids[i]: int(stored.labels[i]) for i in test},
        stored.manifest["classes"],
    )
    truth = stored.labels[test]
    result = score(as_stored(given), truth, stored.manifest["classes"], protocol.metrics, protocol.primary)
    arguments = ("net", Outcome(given, truth), result, stored.path, stored.manifest, protocol, tmp_path / "kept")
    path = external.save(*arguments)
    (loaded,) = load_all([tmp_path / "kept"])
    assert verify(loaded) == []
    assert loaded.record["metrics"]["overall_accuracy"]["primary"]
    before = path.read_bytes(), (path.parent / "predictions.parquet").read_bytes()
    with pytest.raises(UserError, match="already"):
        external.save(*arguments)
    assert before == (path.read_bytes(), (path.parent / "predictions.parquet").read_bytes())
    assert given.probabilities is not None
    other = type(given)(given.ids, given.labels, given.probabilities**1.01)
    assert external.save("net", Outcome(other, truth), *arguments[2:]) != path
