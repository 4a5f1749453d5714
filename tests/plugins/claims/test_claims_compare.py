"""Reported beside measured, on records made by hand."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rsbench_claims.compare import ClaimComparison, compare, not_measured

from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import evaluate
from rsbench.metrics.intervals import wilson
from rsbench.records import store
from rsbench.registry import registry
from rsbench.specs import Claim, ClaimSet, to_jsonable
from rsbench.tasks.classification import breakdown
from rsbench.tasks.classification import files as prediction_files

FIXTURE = json.loads((Path(__file__).parents[2] / "data" / "record-1.json").read_text())
N = 1000
TRUTH = np.arange(N) % 10
METRICS = ("overall_accuracy", "cohen_kappa")


def add(folder: Path, accuracy: float, seed: int = 0, recipe: dict[str, Any] | None = None, **model: Any) -> None:
    """Write a record of ``baseline-cnn`` with predictions of the given accuracy, under the split of its paper."""
    record: dict[str, Any] = copy.deepcopy(FIXTURE)
    plan = record["plan"]
    classes = tuple(plan["dataset"]["classes"])
    labels = TRUTH.copy()
    wrong = np.random.default_rng(seed).permutation(N)[: round((1 - accuracy) * N)]
    labels[wrong] = (labels[wrong] + 1) % 10
    p = np.full((N, 10), 0.02)
    p[np.arange(N), labels] = 0.82
    run_id = f"r{seed}-{len(list(folder.iterdir()))}"
    path = folder / run_id / "predictions.parquet"
    path.parent.mkdir()
    prediction_files.write(path, [f"i{k}" for k in range(N)], TRUTH, labels, p)
    made, references = prediction_files.read(path)
    specs = [registry().get("metric", m) for m in METRICS]
    context = MetricContext("classification", classes)
    record["metrics"] = evaluate(specs, made, references, context, primary="overall_accuracy")
    record["by_group"] = breakdown(made, references, classes)
    plan["protocol"] |= {"name": "bmta-70-15-15", "metrics": list(METRICS)}
    plan["protocol"]["split_sizes"]["test"] = N
    plan["model"] |= model
    plan["recipe"] = recipe or author("baseline-cnn-author")
    record |= {"run_id": run_id, "checks": []}
    plan |= {"seed": seed, "run_id": run_id}
    sha = store.sha256_file(path)
    record["artifacts"] = {"predictions": {"path": path.name, "sha256": sha, "bytes": path.stat().st_size}}
    store.save(record, path.parent)


def author(name: str, **changes: Any) -> dict[str, Any]:
    recipe = to_jsonable(registry().get("recipe", name))
    loss = registry().get("loss", recipe["loss"])
    recipe["loss_options"] = {k: o.default for k, o in loss.options.items()} | recipe["loss_options"]
    del recipe["provenance"]
    return {**recipe, "reconstruction": False, **changes}  # nothing apart from what a test is about


def claims(*rows: Claim, left_open: tuple[str, ...] = (), **more: Any) -> ClaimSet:
    facts: dict[str, Any] = {"name": "x", "summary": "x", "paper": "p", "dataset": "eurosat", "protocol": "as stated"}
    facts |= {"measured_by": "bmta-70-15-15", "parts": tuple(FIXTURE["plan"]["dataset"]["classes"])}
    return ClaimSet(**{**facts, "models": {"theirs": ("baseline-cnn",)}, **more}, rows=rows, left_open=left_open)


def reported(value: str, metric: str = "overall_accuracy", **more: Any) -> Claim:
    return Claim(**{"system": "theirs", "metric": metric, "value": value, "place": "table 1", **more})


def beside(folder: Path, found: ClaimSet) -> list[ClaimComparison]:
    return compare(store.load_all([folder]), [found])


def differences(folder: Path, found: ClaimSet | None = None) -> str:
    (row,) = beside(folder, found or claims(reported("94.30")))
    return " | ".join(row.differences)


def test_one_seed(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    (row,) = beside(tmp_path, claims(reported("94.30")))
    assert (row.reported, row.measured, row.seeds) == (0.943, pytest.approx(0.9), 1)
    assert row.difference == pytest.approx(-0.043)
    assert row.interval == pytest.approx(wilson(900, N))
    assert row.differences == ()
    assert row.issues == ()


def test_several_seeds_have_one_interval_for_each_metric(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.90, 0.92, 0.94)):
        add(tmp_path, accuracy, seed)
    kappa = reported("0.90", "cohen_kappa", unit="")
    first, second = beside(tmp_path, claims(reported("92.00"), kappa))
    assert (first.measured, first.seeds) == (pytest.approx(0.92), 3)
    assert second.measured == pytest.approx((0.92 - 0.1) / 0.9, abs=2e-3)
    for row in (first, second):
        assert row.interval is not None
        assert row.interval[0] < row.measured < row.interval[1]
        assert 0.06 < row.interval[1] - row.interval[0] < 0.12  # over samples alone it would be .05


def test_a_class_stands_beside_its_own_accuracy(tmp_path: Path) -> None:
    for seed in (0, 1):
        add(tmp_path, 0.9, seed)
    by_class = [r.record["by_group"]["class"]["Forest"] for r in store.load_all([tmp_path])]
    (row,) = beside(tmp_path, claims(reported("98.64", "accuracy", part="Forest")))
    mean = sum(c["accuracy"] for c in by_class) / 2
    assert row.measured == pytest.approx(mean)
    own = wilson(round(100 * mean), 100)
    assert row.interval is not None
    assert row.interval[0] < mean < row.interval[1]
    assert 0.5 < (row.interval[1] - row.interval[0]) / (own[1] - own[0]) < 1.5


def test_parameters_in_millions_and_what_was_not_measured(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    size, unknown = reported("2.1", "params", unit="M"), reported("0.57", "alpha", unit="")
    (row,) = beside(tmp_path, claims(size, unknown))
    assert (row.reported, row.measured, row.interval) == (2_100_000.0, 4_293_642.0, None)


def test_only_the_system_its_models_and_its_dataset(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    other = claims(reported("94.30"), models={"theirs": ("cbam-cnn",)})
    assert beside(tmp_path, other) == []
    assert not_measured([], [other]) == {"x": ["theirs"]}
    assert beside(tmp_path, claims(reported("94.30"), dataset="rsvqa-lr")) == []
    right, wrong = (
        claims(reported("94.30"), models={"theirs": (f"baseline-cnn@{r}",)}) for r in ("baseline-cnn-author", "x")
    )
    assert len(beside(tmp_path, right)) == 1
    assert beside(tmp_path, wrong) == []
    bounds = claims(reported("94.30", relation=">"), reported("1.00", minus="other"))
    assert beside(tmp_path, bounds) == []


def test_another_protocol_is_a_reason(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    assert "tested by bmta-70-15-15, the paper by helber-80-20" in differences(
        tmp_path, claims(reported("94.30"), measured_by="helber-80-20")
    )
    assert "the paper by focal-50-50" in differences(tmp_path, claims(reported("94.30", protocol="focal-50-50")))
    assert "no protocol here" in differences(tmp_path, claims(reported("94.30"), measured_by=None))


def test_another_recipe_and_a_reduced_one_are_reasons(tmp_path: Path) -> None:
    add(tmp_path, 0.9, recipe=author("eurosat-short"))
    assert "trained by eurosat-short in the open division, not by the authors' baseline-cnn-author" in differences(
        tmp_path
    )


def test_changes_of_a_recipe_are_named(tmp_path: Path) -> None:
    recipe = author("baseline-cnn-author", epochs=3)
    recipe["loss_options"] = {**recipe["loss_options"], "label_smoothing": 0.1}
    add(tmp_path, 0.9, recipe=recipe)
    found = differences(tmp_path)
    assert "recipe changed: " in found
    assert "epochs 3 in place of 30" in found
    assert "'label_smoothing': 0.1" in found
    assert "not by the authors'" not in found


def test_an_older_record_left_the_last_batch_out(tmp_path: Path) -> None:
    recipe = author("baseline-cnn-author")
    add(tmp_path, 0.9, recipe={field: value for field, value in recipe.items() if field != "drop_last"})
    assert "recipe changed: drop_last True in place of False" in differences(tmp_path)


def test_reconstructions_weights_and_options_are_reasons(tmp_path: Path) -> None:
    options = {"weights": "none", "input_size": 128}
    add(tmp_path, 0.9, name="resnet50-finetuned", tags=["reconstruction"], options=options)
    found = differences(tmp_path, claims(reported("98.57"), models={"theirs": ("resnet50-finetuned",)}))
    assert "the model is a reconstruction" in found
    assert "from random weights, the paper's from ImageNet-1k" in found
    assert "options changed: input_size=128" in found


def test_weights_from_a_file_are_a_reason(tmp_path: Path) -> None:
    add(tmp_path, 0.9, name="resnet50-finetuned", options={"weights": "some.npz"}, weights_sha256="0" * 64)
    found = differences(tmp_path, claims(reported("98.57"), models={"theirs": ("resnet50-finetuned",)}))
    assert "weights from a file (some.npz)" in found


def test_what_a_paper_leaves_open_and_what_is_recalled(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    (row,) = beside(tmp_path, claims(reported("94.30", certainty="recalled"), left_open=("epochs",)))
    assert row.left_open == ("epochs",)
    found = " | ".join(row.differences)
    assert "recalled, not read" in found


def test_doubts_stand_beside_the_number(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    rows = beside(tmp_path, claims(reported("94.30"), reported("95.30", place="text")))
    assert [len(r.issues) for r in rows] == [1, 1]
    assert rows[0].issues[0].startswith("text: ")


def test_failed_gates_are_said(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    (path,) = tmp_path.glob("*/record.json")
    record = json.loads(path.read_text())
    record["checks"] = [{"name": "gate:above-chance", "ok": False, "detail": "low"}]
    path.write_text(json.dumps(record))
    assert "flagged: fails above-chance: low" in differences(tmp_path)
