"""Records made up for the tests of what is drawn."""

from __future__ import annotations

import copy
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.leaderboard.board import Board, build
from rsbench.metrics.intervals import wilson
from rsbench.records import store
from rsbench.tasks.classification import Predictions, breakdown
from rsbench.tasks.task import Outcome, get_task

FIXTURE = json.loads((Path(__file__).parent.parent / "data" / "record-1.json").read_text())
SCRIPT = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
FORMULA = '=HYPERLINK("http://example.org","x")'


class Made(dict[str, Any]):
    """A record with what was predicted; what is made of it by ``|`` has no predictions."""

    outcome: Outcome


def run_id(*words: object) -> str:
    """Return words as the name of a folder."""
    return re.sub(r"[^\w.+-]+", "-", "-".join(map(str, words))).lstrip(".+-")


def record(
    system: str,
    accuracy: float = 0.9,
    *,
    seed: int = 0,
    classes: int = 10,
    epochs: int = 3,
    tags: tuple[str, ...] = (),
    division: str = "open",
    checks: tuple = (),
    device: str = "AMD EPYC",
    params: int = 1_000_000,
    stream: int | None = None,
) -> Made:
    """Return a record of a classifier of that accuracy; the same *stream* draws alike for all systems."""
    made: dict[str, Any] = copy.deepcopy(FIXTURE)
    names = [f"class number {k}" for k in range(classes)]
    rng = np.random.default_rng([zlib.crc32(system.encode()) if stream is None else stream, seed, classes])
    n = 150 * classes
    truth = np.arange(n) % classes
    right = rng.random(n) < accuracy
    labels = np.where(right, truth, rng.integers(0, classes, n))
    p = np.full((n, classes), 0.4 / classes)
    p[np.arange(n), labels] += 0.6 * rng.random(n)
    p /= p.sum(axis=1, keepdims=True)
    said = Predictions([str(k) for k in range(n)], labels, p)
    made["by_group"] = breakdown(said, truth, names)
    value = float((labels == truth).mean())
    made["metrics"]["overall_accuracy"] |= {"value": value, "ci95": list(wilson(round(value * n), n)), "n": n}
    recalls = [figures["accuracy"] for figures in made["by_group"]["class"].values()]
    made["metrics"]["average_accuracy"]["value"] = float(np.mean(recalls))
    for name in ("top3_accuracy", "top5_accuracy"):
        made["metrics"][name]["value"] = max(value, made["metrics"][name]["value"])
    made["plan"]["model"] |= {"name": system, "label": system, "tags": list(tags)}
    made["plan"]["dataset"]["classes"] = names
    made["plan"] |= {"seed": seed, "division": division}
    made["train"]["curve"] = [
        {
            "epoch": e,
            "train_loss": 2.3 / e + rng.random() / 9,
            "val_loss": 2.4 / e,
            "val_accuracy": accuracy * e / epochs,
        }
        for e in range(1, epochs + 1)
    ]
    made["perf"] |= {"params": params}
    made["env"]["device"]["name"] = device
    found = Made(made | {"run_id": run_id(system, f"s{seed}", division), "checks": list(checks), "artifacts": {}})
    found.outcome = Outcome(said, truth)
    return found


def board(folder: Path, *records: dict[str, Any], **filters: Any) -> Board:
    """Save records below *folder* and return their board."""
    for number, made in enumerate(records):
        place = folder / f"{number:03d}"
        if isinstance(made, Made):
            path = place / "predictions.parquet"
            place.mkdir(parents=True)
            get_task("classification").write(path, made.outcome)
            kept = {"path": path.name, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}
            made = made | {"artifacts": {"predictions": kept}}
        store.save(made, place)
    return build(store.load_all([folder]), **filters)


def several(folder: Path) -> Board:
    """A board of everything at once: ties, seeds, a baseline, a flagged row, hostile names."""
    low = {"name": "gate:above-chance", "ok": False, "detail": SCRIPT}
    return board(
        folder,
        *(record("good", 0.93 + seed / 100, seed=seed, params=9_000_000) for seed in range(3)),
        *(record("fair (width=2)", 0.79, seed=s, tags=("reconstruction",), params=4_000_000) for s in range(3)),
        *(record(SCRIPT, 0.78, seed=s, division="closed", params=2_000_000) for s in range(3)),
        *(record(FORMULA, 0.70, seed=s, params=500_000) for s in range(2)),
        record("odd", 0.30, checks=(low,)),
        record("line", 0.50, tags=("control",)),
    )
