"""Results in the columns of torchgeo-bench's CSV files, https://github.com/torchgeo/torchgeo-bench."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.metrics.evaluate import BOOTSTRAP
from rsbench.metrics.resample import RESAMPLES
from rsbench.records.store import LoadedRecord

FILE: Final = "torchgeo-bench.csv"
COLUMNS: Final = (
    "dataset",
    "method",
    "metric_name",
    "metric_value",
    "ci_lower",
    "ci_upper",
    "feature_dim",
    "best_c",
    "best_lr",
    "best_batch_size",
    "n_train",
    "n_val",
    "n_test",
    "seed",
    "model",
    "name",
    "normalization",
    "image_size",
    "interpolation",
    "partition",
    "bands",
    "c_range_start",
    "c_range_stop",
    "c_range_num",
    "merge_val",
    "bootstrap",
    "fw_iou",
    "precision",
    "recall",
    "f1",
    "ece",
    "rms_ce",
    "mce",
    "ece_ts",
    "rms_ce_ts",
    "mce_ts",
    "temperature",
    "calibration_n_bins",
)
# The one metric that both define alike, as rsbench and as torchgeo-bench call it.
PRIMARY: Final = ("overall_accuracy", "accuracy")


def export(records: Sequence[LoadedRecord]) -> dict[str, str]:
    """Return one file with a row for each classification record; what rsbench does not know stays empty.

    Raises:
        UserError: none of the records is of classification.
    """
    rows = [row(r.record) for r in records if PRIMARY[0] in r.record["metrics"]]
    if not rows:
        raise UserError("torchgeo-bench's file holds results of classification; none of the records has any.")
    stream = StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {FILE: stream.getvalue()}


def row(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record's accuracy as a row; ``method`` is the recipe and ``partition`` the protocol."""
    plan, entry = record["plan"], record["metrics"][PRIMARY[0]]
    protocol, dataset, recipe = plan["protocol"], plan["dataset"], plan["recipe"]
    sizes, bands = protocol["split_sizes"], protocol["bands"] or dataset["bands"]
    low, high = entry["ci95"] or (None, None)
    return {
        "dataset": dataset["name"],
        "method": recipe.get("name") or plan["division"],
        "metric_name": PRIMARY[1],
        "metric_value": entry["value"],
        "ci_lower": low,
        "ci_upper": high,
        "best_lr": recipe.get("lr"),
        "best_batch_size": recipe.get("batch"),
        "n_train": sizes["train"],
        "n_val": sizes["val"],
        "n_test": sizes["test"],
        "seed": plan["seed"],
        "model": plan["model"].get("factory"),
        "name": plan["model"]["label"],
        "normalization": plan["model"].get("accepts", {}).get("normalisation"),
        "image_size": protocol["size"] or dataset["image_shape"][-1],
        "partition": protocol["name"],
        "bands": "rgb" if sorted(bands) == ["blue", "green", "red"] else "all" if not protocol["bands"] else "",
        "bootstrap": RESAMPLES if entry["method"] == BOOTSTRAP else None,
    }
