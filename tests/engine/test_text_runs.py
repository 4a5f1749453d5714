"""Whole captioning and VQA runs on small fake files, and the targets that feed them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rsbench_captioners.training import SentenceTargets
from rsbench_vqa.training import QuestionTargets

from rsbench.engine.input.run_data import open_data
from rsbench.engine.run.build import make_task, normalization
from rsbench.engine.run.run import execute
from rsbench.errors import UserErrors
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.records.store import load_all
from rsbench.records.verify import verify

CPU = torch.device("cpu")
SMALL = {"dim": 32, "depth": 1, "heads": 2, "mlp": 64, "input_size": 32, "text_layers": 1, "dropout": 0.0}


@pytest.fixture
def root(text_root: Path) -> Path:
    return text_root


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


def make_plan(root: Path, out: Path, model: str, dataset: str, **changes: Any) -> RunPlan:
    options = changes.pop("options", {})
    overfit = changes.pop("overfit", None)
    short = {"epochs": 2, "batch": 8, "warmup": 0.0} if model.startswith("spatial") else {}
    request = RunRequest(
        models=((model, options),),
        dataset=dataset,
        data_root=root,
        out=str(out),
        seeds=(0,),
        overfit=overfit,
        changes={"precision": "fp32"} | short | changes,
        threads=1,
        device="cpu",
    )
    return expand(request)[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_captioning_run_from_plan_to_verified_record(root: Path, tmp_path: Path, precision: str) -> None:
    plan = make_plan(root, tmp_path, "spatialnet-vit", "ucm-captions", options=SMALL, precision=precision)
    record = execute(plan, lambda e: None)
    assert record["error"] is None
    assert set(record["metrics"]) == {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D"}
    assert record["metrics"]["METEOR"]["value"] is None
    assert "ava" in record["metrics"]["METEOR"]["note"]
    assert record["metrics"]["CIDEr-D"]["n"] == 21
    assert {"val_loss", "val_score"} <= set(record["train"]["curve"][0])
    assert record["perf"]["macs"] > 0
    assert {c["name"] for c in record["checks"]} >= {"gate:above-commonest-caption", "gate:not-collapsed"}
    (loaded,) = load_all([tmp_path])
    assert verify(loaded) == []
    stored = loaded.artifact("predictions")
    assert stored is not None
    assert b"can be seen here" not in stored.read_bytes()  # references are not in the file


def test_a_captioner_learns_a_few_images_by_heart(root: Path, tmp_path: Path) -> None:
    changes = {
        "epochs": 60,
        "lr": 2e-3,
        "schedule": "constant",
        "task_options.sentences": 1,
        "task_options.min_count": 1,
    }
    plan = make_plan(root, tmp_path, "spatialnet-vit", "ucm-captions", options=SMALL, overfit=8, **changes)
    record = execute(plan, lambda e: None)
    assert record["metrics"]["BLEU-4"]["value"] > 0.95
    assert record["by_group"]["captions"]["distinct"] >= 7


@pytest.mark.parametrize("model", ["commonest-caption", "class-template-caption", "nearest-image-caption"])
def test_caption_baselines(root: Path, tmp_path: Path, model: str) -> None:
    record = execute(make_plan(root, tmp_path, model, "ucm-captions"), lambda e: None)
    assert record["error"] is None
    value = record["metrics"]["CIDEr-D"]["value"]
    assert (value < 0.5) if model == "commonest-caption" else (value > 2)  # colors tell the fake classes apart


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_vqa_run_answers_every_question_once(root: Path, tmp_path: Path, precision: str) -> None:
    plan = make_plan(root, tmp_path, "spatialnet-vit", "rsvqa-lr", options=SMALL, precision=precision)
    record = execute(plan, lambda e: None)
    assert record["error"] is None
    assert record["metrics"]["OA"]["n"] == 12
    assert record["metrics"]["OA"]["clusters"] == 3
    assert record["metrics"]["count_mae"]["value"] is not None
    assert {k: v["n"] for k, v in record["by_group"]["question_type"].items()} == dict.fromkeys(
        ("rural_urban", "presence", "count", "comp"), 3
    )
    (loaded,) = load_all([tmp_path])
    assert verify(loaded) == []


def test_statistics_count_an_image_once_however_many_questions_it_has(root: Path, tmp_path: Path) -> None:
    plan = make_plan(root, tmp_path, "spatialnet-vit", "rsvqa-lr", options=SMALL)
    plan = dataclasses.replace(
        plan, model={**plan.model, "accepts": {**plan.model["accepts"], "normalisation": "dataset"}}
    )
    data = open_data(plan)
    data = dataclasses.replace(data, train=np.concatenate([data.train, np.repeat(data.train[:1], 50)]))
    norm = normalization(plan, data)
    images = data.store.images[np.unique(data.store.image_index[data.train])].astype(np.float64)
    np.testing.assert_allclose(norm.mean, images.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(norm.std, images.std((0, 2, 3)), rtol=1e-9)


def test_images_that_are_not_normalized_pass_as_they_are(root: Path, tmp_path: Path) -> None:
    record = execute(make_plan(root, tmp_path, "question-only", "rsvqa-lr", epochs=1), lambda e: None)
    assert record["error"] is None


def test_a_vqa_network_learns_what_colors_answer(root: Path, tmp_path: Path) -> None:
    changes = {"epochs": 60, "lr": 2e-3, "schedule": "constant", "batch": 24}
    options = SMALL | {"count": "buckets"}
    plan = make_plan(root, tmp_path, "spatialnet-vit", "rsvqa-lr", options=options, overfit=24, **changes)
    metrics = execute(plan, lambda e: None)["metrics"]
    assert metrics["OA_without_count"]["value"] == 1.0  # counts have nothing to do with color
    assert metrics["OA"]["value"] > 0.8


def test_vocabulary_comes_from_training_alone(root: Path, tmp_path: Path) -> None:
    """A word that only test sentences have is unknown, at any minimum count."""
    plan = make_plan(root, tmp_path, "spatialnet-vit", "ucm-captions", options=SMALL)
    task = make_task(plan, open_data(plan))
    store = task.data.store
    test = int(task.data.test[0])
    store.columns["sentences"][test][0] = "unheard words"
    assert "unheard" not in task.model_context().vocabulary
    store.columns["sentences"][test][0] = "There is a agricultural in the image ."


def test_unknown_task_options_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserErrors, match="Did you mean 'beam'"):
        make_plan(root, tmp_path, "spatialnet-vit", "ucm-captions", options=SMALL, **{"task_options.beem": 3})


def test_sentences_are_drawn_anew_each_epoch_without_repetition() -> None:
    tokens = np.arange(4 * 5).reshape(4, 5, 1).repeat(3, 2) + 4
    targets = SentenceTargets(tokens, None, sentences=2, seed=0)
    items = np.array([2, 0])
    epochs = [targets.select(items, epoch, CPU).tokens[:, 0].tolist() for epoch in range(8)]
    for rows in epochs:
        assert rows[0] != rows[1]
        assert {r // 5 for r in (x - 4 for x in rows[:2])} == {2}
        assert {r // 5 for r in (x - 4 for x in rows[2:])} == {0}
    assert len({tuple(r) for r in epochs}) > 4
    assert epochs[3] == targets.select(items, 3, CPU).tokens[:, 0].tolist()
    assert targets.select(items, None, CPU).tokens[:, 0].tolist() == [*range(14, 19), *range(4, 9)]


def question_targets(together: int | None) -> tuple[QuestionTargets, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 7, 200)
    samples = np.flatnonzero(image != 3)
    tokens = np.arange(1, 201)[:, None].repeat(2, 1)
    zeros = np.zeros(200, np.int64)
    return QuestionTargets(tokens, zeros, zeros, zeros.astype(np.float32), image, samples, together, 0), image


@pytest.mark.parametrize("together", [1, 4, 16, None])
def test_every_question_comes_once_an_epoch_with_its_image(together: int | None) -> None:
    targets, image = question_targets(together)
    seen = []
    for items in np.array_split(np.random.default_rng(1).permutation(len(targets)), 5):
        found = targets.select(items, 2, CPU)
        assert len(found) == targets.count(items)
        rows = targets.image[items][found.questions.image.numpy()]
        assert np.array_equal(rows, image[found.index])
        assert np.array_equal(found.questions.tokens[:, 0].numpy(), found.index + 1)
        seen.append(found.index)
        sizes = np.bincount(found.questions.image.numpy())
        assert together is None or sizes.max() <= together
    assert np.array_equal(np.sort(np.concatenate(seen)), targets.samples)


def test_epochs_group_questions_differently() -> None:
    targets, _ = question_targets(4)
    first, second = (targets.select(np.array([0]), epoch, CPU).index for epoch in (0, 1))
    assert sorted(first) != sorted(second)
    assert np.array_equal(first, targets.select(np.array([0]), 0, CPU).index)


def test_records_hold_no_references(root: Path, tmp_path: Path) -> None:
    record = execute(make_plan(root, tmp_path, "commonest-caption", "ucm-captions"), lambda e: None)
    assert "can be seen" not in json.dumps({k: v for k, v in record.items() if k != "by_group"})
