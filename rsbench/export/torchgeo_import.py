"""Rows of torchgeo-bench's CSV files as records of division ``external``.

Their splits are others than ours and their predictions are not at hand, so that they stand on boards of their own,
unranked, with their scores as reported.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.export.torchgeo_bench import PRIMARY
from rsbench.plan import digest
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.registry import registry

NEEDED: Final = ("dataset", "method", "metric_name", "metric_value", "n_test", "seed", "name")
SOURCE: Final = "torchgeo-bench"
# What makes two of their results comparable.
SETTING: Final = ("dataset", "partition", "bands", "image_size", "interpolation", "n_train", "n_val", "n_test")


def import_rows(path: Path, out: Path) -> tuple[list[Path], int, int]:
    """Keep the accuracies in a CSV file as records below *out*.

    Returns:
        The records written, how many were there already, and how many rows are of something else.

    Raises:
        UserError: the file cannot be read, lacks a column, or a value in it is not a number.
    """
    written: list[Path] = []
    known = others = 0
    for number, row in enumerate(_read(path), start=2):
        if row["metric_name"] != PRIMARY[1]:
            others += 1
            continue
        try:
            record = record_of(row)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}.") from None
        folder = out / record["run_id"]
        if store.finished(folder):
            known += 1
        else:
            written.append(store.save(record, folder))
    return written, known, others


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path} is not a file of torchgeo-bench: it has no column {', '.join(missing)}.")
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def record_of(row: Mapping[str, str]) -> dict[str, Any]:
    """Return the record of one row of accuracy; what the row leaves empty is null.

    Raises:
        ValueError: a number is not one.
    """
    setting = {key: row.get(key) or "" for key in SETTING}
    system = " ".join(filter(None, (row["name"], row.get("normalization"))))
    content = digest(dict(row))[:8]
    words = (row["dataset"], system, SOURCE, f"s{row['seed']}", content)
    plan = {
        "task": "classification",
        "seed": int(row["seed"]),
        "division": "external",
        "model": _model(row, system),
        "dataset": {"name": row["dataset"], "version": SOURCE, "fingerprint": "", "classes": [], "bands": []},
        "protocol": _protocol(setting),
        "recipe": {"name": row["method"]},
    }
    record = blank_record("-".join(re.sub(r"[^A-Za-z0-9._+-]+", "-", w) for w in words), plan)
    unranked = {"name": "gate:reported", "ok": False, "detail": f"by {SOURCE}; its predictions are not at hand"}
    return record | {"status": "ok", "metrics": {PRIMARY[0]: _metric(row)}, "checks": [unranked]}


def _model(row: Mapping[str, str], system: str) -> dict[str, Any]:
    return {
        "name": row["name"],
        "label": system,
        "version": "unknown",
        "options": {},
        "kind": "external",
        "factory": row.get("model") or None,
        "tags": [SOURCE],
    }


def _protocol(setting: Mapping[str, str]) -> dict[str, Any]:
    """A protocol that is theirs alone: its fingerprint is over what the row says of the setting."""
    size = setting["image_size"]
    return {
        "name": "-".join(filter(None, (SOURCE, setting["partition"], setting["bands"]))),
        "version": "unknown",
        "fingerprint": digest([SOURCE, dict(setting)]),
        "task": "classification",
        "split_sizes": {part: _count(setting[f"n_{part}"]) for part in ("train", "val", "test")},
        "split_sha256": {},
        "bands": None,
        "size": int(float(size)) if size else None,
        "primary": PRIMARY[0],
        "metrics": [PRIMARY[0]],
        "selection": "unknown",
        "targets": [],
    }


def _metric(row: Mapping[str, str]) -> dict[str, Any]:
    """The accuracy as reported; an interval of 0 to 0, which stands for none there, is null."""
    spec = registry().get("metric", PRIMARY[0])
    bounds = [float(row[key]) if row.get(key) else None for key in ("ci_lower", "ci_upper")]
    interval = bounds if None not in bounds and any(bounds) else None
    return {
        "value": float(row["metric_value"]),
        "ci95": interval,
        "method": f"bootstrap of {SOURCE}" if interval else None,
        "n": int(float(row["n_test"])),
        "clusters": None,
        "version": spec.version,
        "higher_is_better": spec.higher_is_better,
        "unit": spec.unit,
        "primary": True,
        "note": f"as reported by {SOURCE}",
    }


def _count(text: str) -> int | None:
    return int(float(text)) if text else None
