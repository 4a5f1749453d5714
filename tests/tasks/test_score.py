"""Scoring of predictions from elsewhere, and keeping them as records."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
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
from rsbench.tasks.classification.files import as_stored
from rsbench.tasks.classification.score import outcome_of
from rsbench.tasks.scoring import score_files, score_outcome
from rsbench.tasks.task import Outcome, get_task

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "classification.json").read_text())["cases"]


def scored(folder: Path, predictions: object, references: object, classes: list[str] | None = None) -> dict[str, Any]:
    (folder / "p.json").write_text(json.dumps(predictions))
    (folder / "r.json").write_text(json.dumps(references))
    return score_files("classification", folder / "p.json", folder / "r.json", classes)


def values(result: dict[str, Any]) -> dict[str, float]:
    return {name: entry["value"] for name, entry in result["metrics"].items() if entry["value"] is not None}


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


@pytest.mark.parametrize("form", [int, str, float, "{:02d}".format, " {} ".format, "{}.0".format])
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_as_text_are_in_the_order_of_numbers(tmp_path: Path, form: Callable[[int], Any], first: int) -> None:
    """As text 10 comes before 2, which gave every class from the third on another's probabilities."""
    references = [{"id": k, "label": form(k + first)} for k in range(21)]
    predictions = [{"id": k, "probabilities": [0.8 if j == k else 0.01 for j in range(21)]} for k in range(21)]
    result = scored(tmp_path, predictions, references)
    assert result["classes"] == [str(k + first) for k in range(21)]
    assert result["metrics"]["overall_accuracy"]["value"] == 1.0
    assert result["metrics"]["nll"]["value"] == pytest.approx(-math.log(0.8), rel=1e-14)
    said = [{"id": k, "label": str(k + first)} for k in range(21)]
    assert scored(tmp_path, said, references)["metrics"]["overall_accuracy"]["value"] == 1.0


def test_codes_are_classes_of_their_own(tmp_path: Path) -> None:
    """Codes of a land cover, of which a prediction may hold one that no reference has."""
    references = [{"id": 0, "label": 112}, {"id": 1, "label": 523}]
    result = scored(tmp_path, [{"id": 0, "label": "112"}, {"id": 1, "label": 311}], references)
    assert result["classes"] == ["112", "311", "523"]
    assert result["metrics"]["overall_accuracy"]["value"] == 0.5


def test_labels_that_seem_to_count_from_1_are_asked_about(tmp_path: Path) -> None:
    rows = [{"id": k, "probabilities": [0.25] * 4} for k in range(2)]
    (said,) = scored(tmp_path, rows, [{"id": 0, "label": 1}, {"id": 1, "label": 3}])["warnings"]
    assert said.startswith("No reference has label 0")
    assert scored(tmp_path, rows, [{"id": 0, "label": 0}, {"id": 1, "label": 3}])["warnings"] == []


def test_an_order_of_names_that_may_be_another_is_asked_for(tmp_path: Path) -> None:
    references = [{"id": 0, "label": "b10"}, {"id": 1, "label": "b2"}]
    rows = [{"id": 0, "probabilities": [0.9, 0.1]}, {"id": 1, "probabilities": [0.2, 0.8]}]
    with pytest.raises(UserError, match=r"ordered b10, b2 or b2, b10. .* --classes"):
        scored(tmp_path, rows, references)
    result = scored(tmp_path, rows, references, [" b10", "b2 "])
    assert (result["classes"], result["metrics"]["overall_accuracy"]["value"]) == (["b10", "b2"], 1.0)
    assert scored(tmp_path, [{"id": 0, "label": "b10"}, {"id": 1, "label": "b2"}], references)["n"] == 2


@pytest.mark.parametrize(
    ("row", "allowed"),
    [
        ([0.5, 0.499], 0.002),
        ([0.5, 0.501], 0.002),
        ([0.123456789, 0.878], 0.002),
        ([0.2, 0.7], 0.1),
        ([0.33] * 3, 0.015),
        ([0.02] * 45 + [0.0], 0.23),
        ([0.001] * 900 + [0.0] * 100, 0.5),
    ],
)
def test_rounded_probabilities_are_divided_by_their_sum(tmp_path: Path, row: list[float], allowed: float) -> None:
    """Half a unit of the last decimal for each class; .999 is as far off as 1.001."""
    others = [1.0] + [0.0] * (len(row) - 1)
    references = [{"id": "a", "label": 0}, {"id": "b", "label": 0}]
    entries = [{"id": "a", "probabilities": others}, {"id": "b", "probabilities": row}]
    result = scored(tmp_path, entries, references)
    nll = -math.log(row[0] / math.fsum(row)) / 2
    assert result["metrics"]["nll"]["value"] == pytest.approx(nll, rel=1e-12)
    (said,) = result["warnings"]
    assert f"prediction 'b' is furthest off 1, by {abs(math.fsum(row) - 1):.4g} " in said
    assert f"may be off by {allowed}" in said
    entries[1]["probabilities"] = [v * (1 - 1.1 * allowed) / math.fsum(row) for v in row]
    with pytest.raises(UserError, match="'b' are not a distribution"):
        scored(tmp_path, entries, references)


def test_logits_are_scored_where_they_are_said_to_be(tmp_path: Path) -> None:
    rows = [[2.0, -1.0, 0.5], [-800.0, 710.0, 3.0]]
    references = [{"id": k, "label": k} for k in range(2)]
    probabilities = [{"id": k, "probabilities": softmax(row)} for k, row in enumerate(rows)]
    expected = scored(tmp_path, probabilities, references)
    for field in ("logits", "probabilities"):
        entries = [{"id": k, field: row} for k, row in enumerate(rows)]
        with pytest.raises(UserError, match="say --logits"):
            scored(tmp_path, entries, references)
        found = score_files("classification", tmp_path / "p.json", tmp_path / "r.json", logits=True)
        assert values(found) == pytest.approx(values(expected), rel=1e-12)
        assert found["warnings"] == []
    scored(tmp_path, references, references)
    with pytest.raises(UserError, match="With --logits predictions need 'logits'"):
        score_files("classification", tmp_path / "p.json", tmp_path / "r.json", logits=True)


def test_a_label_beside_other_probabilities_is_scored_and_said(tmp_path: Path) -> None:
    entries = [{"id": 0, "label": 1, "probabilities": [0.9, 0.1]}, {"id": 1, "label": 1, "probabilities": [0.5, 0.5]}]
    result = scored(tmp_path, entries, [{"id": 0, "label": 1}, {"id": 1, "label": 0}])
    assert result["metrics"]["overall_accuracy"]["value"] == 0.5
    assert result["warnings"] == ["The label of prediction '0' is not its most probable class; labels are scored."]


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
        ([{"id": 0, "label": -1}], [{"id": 0, "label": 0}], "Prediction '0' has label '-1'"),
        ([{"id": 0, "label": 1}], [{"id": 0, "label": "3"}, {"id": 1, "label": "a"}], "'a'. and others a number .3"),
        ([{"id": 0, "probabilities": [0.5, 0.5]}], [{"id": 0, "label": 7}], "up to 7, and a prediction 2 numbers"),
        ([{"id": 0, "probabilities": [1, 0]}], [{"id": 0, "label": "b"}], "2 probabilities for 1 classes; .* --classes"),
        ([{"id": 0, "probabilities": [7.5, 1.0]}], [{"id": 0, "label": 1}], "they sum to 8.5, .* --logits"),
        ([{"id": 0, "probabilities": [93, 7]}], [{"id": 0, "label": 1}], "they sum to 100, and 2 numbers of 1 decimals"),
        ([{"id": 0, "probabilities": [1e308, 1e308]}], [{"id": 0, "label": 1}], "sum to 2e.06"),
        ([{"id": 0, "probabilities": [0.0, 0.0]}], [{"id": 0, "label": 1}], "sum to 0,"),
        ([{"id": 0, "probabilities": [True, False]}], [{"id": 0, "label": 1}], "not a finite number"),
        ([{"id": 0, "probabilities": [[1], [0]]}], [{"id": 0, "label": 1}], "not a finite number"),
        ([{"id": 0, "logits": [2, 1]}], [{"id": 0, "label": 1}], "say --logits"),
        ([{"id": 0, "label": 0}], [{"id": 0}], "Reference '0' has no 'label'"),
        ([{"id": 0}], [{"id": 0, "label": 0}], "Prediction '0' has no 'label'"),
        ([1, 2], [{"id": 0, "label": 0}], "list of objects"),
        ({}, [{"id": 0, "label": 0}], "list of objects"),
        ([{"id": 9, "label": 0}], [{"id": 0, "label": 0}], "for '0', while '9' has no reference"),
    ],
)  # fmt: skip
def test_one_sentence_for_each_mistake(tmp_path: Path, predictions: object, references: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        scored(tmp_path, predictions, references)


def test_classes_must_differ(tmp_path: Path) -> None:
    for names, said in ((["a", "a "], "named twice"), (["a", " "], "has no name"), (["1", "01"], "named twice")):
        with pytest.raises(UserError, match=said):
            scored(tmp_path, [{"id": 0, "label": "a"}], [{"id": 0, "label": "a"}], names)


def test_a_number_is_no_place_among_classes_that_are_numbers(tmp_path: Path) -> None:
    """Of names '3' and '7', the number 1 is neither, and not the second."""
    with pytest.raises(UserError, match="Prediction '0' has label '1', which is not one of the 2 classes"):
        scored(tmp_path, [{"id": 0, "label": 1}], [{"id": 0, "label": "7"}], ["3", "7"])
    found = scored(tmp_path, [{"id": 0, "label": "1"}], [{"id": 0, "label": "y"}], ["x", "y"])
    assert found["metrics"]["overall_accuracy"]["value"] == 1.0


def test_an_external_record_with_probabilities_is_verified_and_never_overwritten(tmp_path: Path) -> None:
    spec, protocol = registry().get("dataset", "eurosat"), registry().get("protocol", "in-domain-60-20-20")
    load_attribute(spec.fake)(tmp_path / "files", spec, per_class=9)
    stored = prepare(spec, tmp_path / "files", tmp_path)
    test = resolve(stored, protocol).test
    p = np.random.default_rng(0).dirichlet(np.full(10, 0.1), len(test))
    found = outcome_of(
        [{"id": stored.ids[i], "probabilities": row.tolist()} for i, row in zip(test, p, strict=True)],
        {stored.ids[i]: int(stored.labels[i]) for i in test},
        stored.manifest["classes"],
    )
    given, truth = found.predictions, found.references
    task = get_task("classification")
    specs = [registry().get("metric", name) for name in protocol.metrics]
    kept = Outcome(as_stored(given), truth)
    result = score_outcome(task, kept, specs, task.context(stored.manifest), protocol.primary)
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
