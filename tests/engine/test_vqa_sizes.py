"""The whole way from questions to a verified record: on real files, and on generated data of full size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rsbench.data.prepare import prepare
from rsbench.data.store import find
from rsbench.engine.run.run import execute
from rsbench.plan import RunRequest, expand
from rsbench.records.store import load_all
from rsbench.records.verify import verify
from rsbench.registry import registry

SMALL = {"dim": 32, "depth": 1, "heads": 2, "mlp": 64, "text_layers": 1, "dropout": 0.0}
KINDS = ("rural_urban", "presence", "count", "comp")


def check_records(out: Path, questions: int, images: int) -> dict:
    """Return the only record in a folder, which is whole and what its predictions say."""
    (loaded,) = load_all([out])
    assert verify(loaded) == []
    record = loaded.record
    assert record["error"] is None
    assert (record["metrics"]["OA"]["n"], record["metrics"]["OA"]["clusters"]) == (questions, images)
    assert {"AA", *(f"accuracy_{k}" for k in KINDS)} <= set(record["metrics"])
    return record


@pytest.mark.real_data
def test_real_mini_set(real_data: Path, tmp_path: Path) -> None:
    spec = registry().get("dataset", "rsvqa-lr")
    (tmp_path / "files").mkdir()
    shutil.copy(real_data / "rsvqa_lr" / "RSVQA_LR_mini.zip", tmp_path / "files")
    store = prepare(spec, tmp_path / "files", tmp_path)
    assert (len(store.images), len(store.ids)) == (12, 1200)
    request = RunRequest(
        models=(("spatialnet-vit", SMALL | {"input_size": 64}),),
        dataset="rsvqa-lr",
        data_root=tmp_path,
        out=str(tmp_path / "out"),
        changes={"precision": "fp32", "epochs": 15, "batch": 50, "lr": 2e-3},
        seeds=(0,),
        threads=1,
        device="cpu",
    )
    (plan,) = expand(request)
    execute(plan, lambda e: None)
    record = check_records(tmp_path / "out", questions=400, images=4)
    assert {k: v["n"] for k, v in record["by_group"]["question_type"].items()}["rural_urban"] == 4
    assert record["train"]["samples"] == 15 * 300
    curve = record["train"]["curve"]
    assert curve[-1]["train_loss"] < 0.7 * curve[0]["train_loss"]
    assert record["metrics"]["OA"]["value"] > 0.4
    assert record["metrics"]["count_mae"]["value"] is not None


@pytest.mark.slow
def test_generated_questions_at_full_size(tmp_path: Path) -> None:
    """772 images and 77,232 questions from the command line: prepared, one epoch, evaluated, verified."""
    options = [argument for name, value in SMALL.items() for argument in ("--option", f"{name}={value}")]
    changes = ["--set", "epochs=1", "--seeds", "0", "--threads", "1", "--device", "cpu", "--json"]
    run = rsbench(tmp_path, "run", "spatialnet-vit", "scenes-vqa", *options, *changes)
    assert run.returncode == 0, run.stderr
    assert [o["status"] for o in json.loads(run.stdout)] == ["ok"]
    record = check_records(tmp_path / "out", questions=10_004, images=100)
    store = find(tmp_path, registry().get("dataset", "scenes-vqa"))
    assert (len(store.images), len(store.ids)) == (772, 77_232)
    assert 57_223 - 4 * 16 <= record["train"]["samples"] <= 57_223
    assert record["metrics"]["OA"]["value"] > 0.35
    kinds = record["by_group"]["question_type"]
    assert (kinds["rural_urban"]["n"], sum(kinds[k]["n"] for k in KINDS)) == (100, 10_004)
    check = rsbench(tmp_path, "verify", str(tmp_path / "out"))
    assert check.returncode == 0, check.stderr


def rsbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = {"RSBENCH_DATA": str(folder), "RSBENCH_OUT": str(folder / "out")}
    command = [sys.executable, "-m", "rsbench", *arguments]
    return subprocess.run(command, env=os.environ | places, capture_output=True, text=True, timeout=250)
