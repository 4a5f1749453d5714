"""Results in the columns of torchgeo-bench's CSV files, https://github.com/torchgeo/torchgeo-bench."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Reported:
    """A metric of theirs: rsbench's name for it, and the task that it is of."""

    metric: str
    task: str


# The one that both define alike, and that of data with several labels an image, which is only reported here.
METRICS: Final = {
    "accuracy": Reported("overall_accuracy", "classification"),
    "micro_mAP": Reported("micro_mAP", "multilabel"),
}


def export(records: Sequence[LoadedRecord]) -> dict[str, str]:
    """Return one file with a row for each record of one of :data:`METRICS`; what is not known stays empty.

    Raises:
        UserError: none of the records has one.
    """
    pairs = ((r.record, name) for r in records for name, m in METRICS.items() if m.metric in r.record["metrics"])
    rows = [row(record, name) for record, name in pairs]
    if not rows:
        raise UserError("torchgeo-bench's file holds results of classification; none of the records has any.")
    stream = StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {FILE: stream.getvalue()}


def row(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a record's value of their metric *name* as a row; ``method`` is the recipe, ``partition`` the protocol.

    What was imported from such a file is written as it was.
    """
    plan, entry = record["plan"], record["metrics"][METRICS[name].metric]
    protocol, dataset, recipe = plan["protocol"], plan["dataset"], plan["recipe"]
    sizes, bands = protocol["split_sizes"], protocol["bands"] or dataset["bands"]
    low, high = entry["ci95"] or (None, None)
    found = {
        "dataset": dataset["name"],
        "method": recipe.get("name") or plan["division"],
        "metric_name": name,
        "metric_value": entry["value"],
        "ci_lower": low,
        "ci_upper": high,
        "best_lr": recipe.get("lr"),
        "best_batch_size": recipe.get("batch"),
        "n_train": sizes.get("train"),
        "n_val": sizes.get("val"),
        "n_test": sizes["test"],
        "seed": plan["seed"],
        "model": plan["model"].get("factory"),
        "name": plan["model"]["label"],
        "normalization": plan["model"].get("accepts", {}).get("normalisation"),
        "image_size": protocol["size"] or (dataset.get("image_shape") or [None])[-1],
        "partition": protocol["name"],
        "bands": "rgb" if sorted(bands) == ["blue", "green", "red"] else "all" if not protocol["bands"] else "",
        "bootstrap": RESAMPLES if entry["method"] == BOOTSTRAP else None,
    }
    if "setting" in protocol:
        kept = {**protocol["setting"], **recipe, **plan["model"]["options"], "name": plan["model"]["name"]}
        found |= {column: value for column, value in kept.items() if column in COLUMNS}
    return found
