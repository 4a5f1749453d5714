"""Whole runs on small fake EuroSAT files: records, failures, resumption, sanity checks."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rsbench.data.prepare import prepare
from rsbench.engine.run.run import execute
from rsbench.engine.tasks import sanity
from rsbench.engine.tasks.classification import ClassificationTraining
from rsbench.engine.training import trainer
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.records import store
from rsbench.records.verify import verify
from rsbench.registry import registry
from rsbench.specs import load_attribute


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=12)
    prepare(spec, folder / "files", folder)
    return folder


def make_plan(root: Path, out: Path, model: str = "tiny-cnn", **changes: Any) -> RunPlan:
    recipe = {
        "precision": "fp32",
        "epochs": 3,
        "batch": 8,
        "schedule": "constant",
        "schedule_options": {},
        "augmentation": {"hflip": 0.5},
    }
    request = RunRequest(
        models=((model, changes.pop("options", {})),),
        dataset="eurosat",
        data_root=root,
        out=str(out),
        seeds=(changes.pop("seed", 0),),
        overfit=changes.pop("overfit", None),
        changes=recipe | changes,
        threads=1,
        device="cpu",
    )
    return expand(request)[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_record_of_a_run(root: Path, tmp_path: Path, precision: str) -> None:
    events: list[dict[str, Any]] = []
    plan = make_plan(root, tmp_path, precision=precision)
    record = execute(plan, events.append)
    assert record["status"] == "ok"
    assert record["metrics"]["overall_accuracy"]["primary"]
    assert record["metrics"]["overall_accuracy"]["n"] == 40
    assert len(record["metrics"]) == 14
    assert record["train"]["steps"] == 3 * (40 // 8)
    assert record["train"]["samples"] == 3 * 40
    assert [c["epoch"] for c in record["train"]["curve"]] == [1, 2, 3]
    assert record["perf"]["params"] == 312_674
    assert record["env"]["flags"]["precision"] == precision
    assert [e["stage"] for e in events if e["type"] == "stage"] == [
        "data",
        "build",
        "preflight",
        "train",
        "evaluate",
        "score",
    ]
    (loaded,) = store.load_all([tmp_path])
    assert verify(loaded) == []
    assert loaded.artifact("checkpoint") is not None
    assert not (tmp_path / plan.run_id / "resume.pt").exists()


def test_same_seed_gives_the_same_predictions(root: Path, tmp_path: Path) -> None:
    shas = [
        execute(make_plan(root, tmp_path / n, seed=s), lambda e: None)["artifacts"]["predictions"]["sha256"]
        for n, s in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert shas[0] == shas[1] != shas[2]


@pytest.mark.parametrize("stop_after", [3, 9])
def test_interrupted_run_goes_on_to_the_same_weights(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    """Stopped in the middle of an epoch, with dropout, EMA and a moving schedule, and taken up again."""
    options = {"model": "baseline-cnn", "ema": 0.9, "schedule": "cosine", "lr": 1e-4}
    whole = execute(make_plan(root, tmp_path / "whole", **options), lambda e: None)
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", -1.0)
    calls = iter(range(10**6))
    plan = make_plan(root, tmp_path / "parts", **options)
    with pytest.raises(trainer.Interrupted):
        execute(plan, lambda e: None, lambda: next(calls) >= stop_after)
    assert (tmp_path / "parts" / plan.run_id / "resume.pt").exists()
    assert not (tmp_path / "parts" / plan.run_id / "record.json").exists()
    rest = execute(plan, lambda e: None)
    assert rest["artifacts"]["checkpoint"]["sha256"] != ""
    assert rest["artifacts"]["predictions"]["sha256"] == whole["artifacts"]["predictions"]["sha256"]
    ours = [c["train_loss"] for c in rest["train"]["curve"]]
    assert ours == pytest.approx([c["train_loss"] for c in whole["train"]["curve"]], rel=1e-12)
    assert rest["train"]["steps"] == whole["train"]["steps"]


def test_overfitting_reaches_every_image(root: Path, tmp_path: Path) -> None:
    record = execute(make_plan(root, tmp_path, overfit=20, epochs=60, augmentation={}, lr=3e-3), lambda e: None)
    assert record["metrics"]["overall_accuracy"]["value"] == 1.0
    assert record["plan"]["division"] == "debug"


def test_two_phases_train_the_head_first(root: Path, tmp_path: Path) -> None:
    phases = [
        {"epochs": 1, "train_only": r"^17\.", "overrides": {"lr": 0.01}},
        {"epochs": 1, "train_only": None, "overrides": {}},
    ]
    plan = make_plan(root, tmp_path)
    plan = dataclasses.replace(plan, recipe={**plan.recipe, "phases": phases, "epochs": 2})
    seen: list[dict[str, torch.Tensor]] = []
    original = trainer.Trainer._finish_epoch

    def spy(self: trainer.Trainer, *args: Any) -> None:
        seen.append({k: v.clone() for k, v in self.model.state_dict().items()})
        original(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Trainer, "_finish_epoch", spy)
        record = execute(plan, lambda e: None)
    assert record["status"] == "ok"
    fresh = load_attribute(plan.model["factory"])
    torch.manual_seed(0)
    from rsbench.engine.input.run_data import open_data
    from rsbench.engine.run import build

    start = fresh(build.make_task(plan, open_data(plan)).model_context()).state_dict()
    assert torch.equal(seen[0]["0.weight"], start["0.weight"])
    assert torch.equal(seen[0]["1.running_mean"], start["1.running_mean"])
    assert not torch.equal(seen[0]["17.weight"], start["17.weight"])
    assert not torch.equal(seen[1]["0.weight"], start["0.weight"])


def test_estimator(root: Path, tmp_path: Path) -> None:
    record = execute(make_plan(root, tmp_path, "majority-class"), lambda e: None)
    assert record["metrics"]["overall_accuracy"]["value"] == pytest.approx(0.1)
    assert record["checks"] == []


def replaced(monkeypatch: pytest.MonkeyPatch, factory: Any) -> None:
    monkeypatch.setattr("rsbench_scenes.network.tiny_cnn", factory)


class Wrong(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.layer = kind, nn.Linear(3 * 64 * 64, 10 if kind != "shape" else 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.layer(x.flatten(1))
        if self.kind == "nan":
            return logits * math.nan
        if self.kind == "raises":
            raise ZeroDivisionError("oops")
        return logits


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape", r"Model 'tiny-cnn' returned \[8, 7\] where logits \[8, 10\] are expected"),
        ("nan", "not finite"),
        ("raises", "failed on images .* ZeroDivisionError: oops"),
    ],
)
def test_bad_model_leaves_a_failure_record(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    replaced(monkeypatch, lambda context: Wrong(kind))
    record = execute(make_plan(root, tmp_path), lambda e: None)
    assert record["status"] == "failed"
    assert record["error"]["stage"] == "preflight"
    import re

    assert re.search(message, record["error"]["message"])
    assert "\n" not in record["error"]["message"]
    stored = json.loads((tmp_path / record["run_id"] / "record.json").read_text())
    assert stored["metrics"] == {}


def test_exploding_loss_is_one_sentence(root: Path, tmp_path: Path) -> None:
    plan = make_plan(root, tmp_path, optimizer="sgd", lr=1e12, weight_decay=0)
    record = execute(plan, lambda e: None)
    assert record["status"] == "failed"
    assert record["error"]["stage"] == "train"
    assert "lower the learning rate" in record["error"]["message"]


def test_unused_parameter_is_reported(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def factory(context: Any) -> nn.Module:
        model = Wrong("fine")
        model.idle = nn.Linear(2, 2)
        return model

    replaced(monkeypatch, factory)
    record = execute(make_plan(root, tmp_path), lambda e: None)
    (check,) = [c for c in record["checks"] if c["name"] == "preflight:gradients"]
    assert not check["ok"]
    assert "idle.weight" in check["detail"]


@pytest.mark.parametrize("common", [10, 40])  # samples of the most frequent class
def test_a_classifier_is_above_chance_from_where_wilsons_interval_is(common: int) -> None:
    z, n = 1.959963984540054, 100
    targets = np.concatenate([np.zeros(common, int), 1 + np.arange(n - common) % 9])

    def low(k: int) -> float:
        p = k / n
        return (p + z * z / (2 * n) - z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)

    fewest = next(k for k in range(n) if low(k) > common / n)
    assert common < fewest < 2 * common
    assert [sanity.above_chance(k, targets)["ok"] for k in (common, fewest - 1, fewest)] == [False, False, True]


def test_a_classifier_is_above_the_baseline_and_not_collapsed() -> None:
    assert [sanity.above_baseline(accuracy, 0.5)["ok"] for accuracy in (0.49, 0.5, 0.51)] == [False, False, True]
    targets = np.arange(100) % 10
    same, spread = np.full((100, 10), 0.1), np.eye(10)[targets]
    assert sanity.not_collapsed(targets, spread)["ok"]
    assert not sanity.not_collapsed(np.zeros(100), spread)["ok"]  # one class, though outputs differ
    assert not sanity.not_collapsed(targets, same)["ok"]  # one output, though ties fall otherwise
    assert sanity.not_collapsed(targets, same + 1e-4 * spread)["ok"]
    assert not sanity.not_collapsed(targets, same + 1e-7 * spread)["ok"]


def test_data_that_changed_after_planning(root: Path, tmp_path: Path) -> None:
    plan = make_plan(root, tmp_path)
    changed = dataclasses.replace(plan, dataset={**plan.dataset, "fingerprint": "other"})
    assert "start the run again" in execute(changed, lambda e: None)["error"]["message"]


def test_predictions_in_another_order_are_refused(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = ClassificationTraining.evaluate

    def twice(task: Any, model: nn.Module, loader: Any, fabric: Any) -> Any:
        result = original(task, model, loader, fabric)
        return dataclasses.replace(result, index=np.concatenate([result.index[:-1], result.index[:1]]))

    monkeypatch.setattr(ClassificationTraining, "evaluate", twice)
    assert "exactly once" in execute(make_plan(root, tmp_path), lambda e: None)["error"]["message"]
