"""The scaffold's task gets what the core's own tasks get; nothing refuses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from blocks import install

from rsbench.records.store import load_all
from rsbench.registry import registry
from rsbench.tasks.task import get_task

NET, DISCS = "my-task-net", "my-task-discs"


def rsbench(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rsbench", *map(str, words)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_a_task_of_a_plugin_is_refused_nowhere(place: Path) -> None:
    assert install("plugins/task.md", place) == "my-task"
    assert set(registry().names("task")) == {"captioning", "classification", "my-task", "vqa"}
    own = ("--device", "cpu", "--threads", 1, "--precision", "fp32", "--set", "epochs=1")
    rsbench("data", "prepare", DISCS)
    rsbench("run", NET, DISCS, "--seeds", "0,1", *own, "--quiet")
    rsbench("run", NET, DISCS, "--seeds", "0", "--devices", 2, *own, "--out", "two", "--quiet")
    one, second = load_all([Path("rsbench-results")])
    (two,) = load_all([Path("two")])
    epoch, again = one.record["train"]["curve"][-1], two.record["train"]["curve"][-1]
    assert again["train_loss"] == pytest.approx(epoch["train_loss"], rel=1e-3)
    assert epoch["val_neg_my-task-mae"] < 0

    outcome = get_task("my-task").read(one.path.parent / "predictions.parquet")
    error = float(np.abs(outcome.predictions.values - outcome.references).mean())
    assert one.record["metrics"]["my-task-mae"]["value"] == pytest.approx(error, rel=1e-12)
    entries = [{"id": i, "value": v} for i, v in zip(outcome.predictions.ids, outcome.predictions.values, strict=True)]
    Path("p.json").write_text(json.dumps(entries))
    rsbench("score", DISCS, "--predictions", "p.json", "--save", "scored", "--system", "theirs")
    (scored,) = load_all([Path("scored")])
    assert scored.record["metrics"]["my-task-mae"]["value"] == pytest.approx(error, rel=1e-12)
    assert rsbench("verify", "rsbench-results", "scored").startswith("3 records verified")

    page = rsbench("leaderboard", "rsbench-results", "scored", "--format", "html", "--samples", 2)
    assert page.count("data:image/jpeg") == 2
    assert "validation neg my-task-mae" in page.lower()
    assert "validation neg my-task-mae" in rsbench("leaderboard", "rsbench-results", "--time-to", "--target=-9")
    assert "my-task-mae" in rsbench("compare", one.path.parent, second.path.parent)
    for format_, text in (("hf", "my-task-mae"), ("stac-mlm", "mlm:input"), ("croissant", "recordSet")):
        rsbench("export", one.path.parent, "--to", format_, "--output", format_)
        assert any(text in path.read_text() for path in Path(format_).rglob("*") if path.is_file())
    rsbench("throughput", NET, "--quick", "--batch", "8", "--threads", 1, "--out", "speeds", "--quiet")
    (speed,) = load_all([Path("speeds")])
    assert (speed.record["status"], speed.record["perf"]["unit"]) == ("ok", "images")
