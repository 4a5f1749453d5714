"""Folders of made-up records of real size, to measure boards of thousands."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from rsbench.tasks.classification import Predictions, breakdown

SEEDS = 5
TEMPLATE = "eurosat-baseline-cnn-in-domain-60-20-20-s0-*"


def template() -> tuple[dict[str, Any], pa.Table]:
    """A committed record of 5,400 test images, with its predictions."""
    (folder,) = (Path(__file__).parents[1] / "records" / "eurosat").glob(TEMPLATE)
    return json.loads((folder / "record.json").read_text()), parquet.read_table(folder / "predictions.parquet")


def write(folder: Path, records: int, samples: int = 5_400) -> None:
    """Write *records* whole records with predictions for *samples* test images: five seeds of each of records / 5
    systems of many strengths.

    Probabilities are the template's own; predicted labels differ from record to record.
    """
    record, table = template()
    table = table.take(np.linspace(0, len(table) - 1, samples).astype(np.int64))  # of all classes, which lie in order
    reference = table["reference"].to_numpy().astype(np.int64)
    for number in range(records):
        system, seed = divmod(number, SEEDS)
        strength = np.random.default_rng(system).uniform(0.6, 0.98)
        rng = np.random.default_rng([system, seed])
        right = rng.random(len(reference)) < strength
        labels = np.where(right, reference, (reference + rng.integers(1, 10, len(reference))) % 10)
        place = folder / f"{system:05d}-{seed}"
        place.mkdir(parents=True)
        path = place / "predictions.parquet"
        column = pa.array(labels.astype(np.int16))
        parquet.write_table(table.set_column(2, "prediction", column), path, compression="zstd", compression_level=1)
        content = path.read_bytes()
        made = copy.deepcopy(record)
        value = float((labels == reference).mean())
        made["metrics"]["overall_accuracy"] |= {"value": value, "ci95": [value - 0.01, value + 0.01]}
        made["by_group"] = breakdown(Predictions([], labels), reference, made["plan"]["dataset"]["classes"])
        recalls = [figures["accuracy"] for figures in made["by_group"]["class"].values()]
        made["metrics"]["average_accuracy"] |= {"value": float(np.mean(recalls))}
        for name in ("top3_accuracy", "top5_accuracy"):
            made["metrics"][name] |= {"value": 1.0}
        made["run_id"] = made["plan"]["run_id"] = place.name
        made["plan"]["seed"] = seed
        made["plan"]["model"] |= {"name": f"net-{system}", "label": f"net-{system}", "source_sha256": f"{system:064x}"}
        made["artifacts"]["predictions"] |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        (place / "record.json").write_text(json.dumps(made, indent=1))
