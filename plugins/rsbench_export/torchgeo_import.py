"""Rows of torchgeo-bench's CSV files as records of division ``external``.

Their splits are others than ours and their predictions are not available, so that they stand on boards of their own,
unranked, with their scores as reported.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rsbench import reading
from rsbench.errors import UserError
from rsbench.plan import digest
from rsbench.records.blank import blank_record
from rsbench.records.external import EXTERNAL, run_name
from rsbench.records.store import finished, save
from rsbench_export.torchgeo_bench import METRICS, Reported

NEEDED: Final = ("dataset", "method", "metric_name", "metric_value", "n_test", "seed", "name")
SOURCE: Final = "torchgeo-bench"
# What makes two of their results comparable: texts, and whole numbers.
SETTING: Final = ("dataset", "partition", "bands", "interpolation")
SIZES: Final = ("image_size", "n_train", "n_val", "n_test")
# What was searched for a probe's settings.
SEARCH: Final = ("c_range_start", "c_range_stop", "c_range_num", "merge_val")
PROFILE: Final = "profile"  # the method of all rows that are no scores but costs
ROUNDING: Final = 1e-6  # intervals are of single precision there

COSTS: Final = "a cost, without the device, batch and precision that it holds for"
UNKNOWN: Final = "no score that rsbench knows"
WRONG: Final = "wrong values"


@dataclass
class Imported:
    """What became of the rows of a file.

    Attributes:
        read: all of them.
        written: the records made; known: how many were there already.
        duplicates: rows that say once more what another one says.
        refused: reason -> how many rows; problems: one sentence for each row whose values are wrong.
    """

    read: int = 0
    written: list[Path] = field(default_factory=list)
    known: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the counts in words; they add up to the rows read."""
        refused = sum(self.refused.values())
        kept = f"{len(self.written)} kept, {self.known} there already, {self.duplicates} duplicates, {refused} refused"
        return [f"{self.read} rows read: {kept}."] + [
            f"  {n} refused: {why}" for why, n in sorted(self.refused.items())
        ]


def import_file(path: Path, out: Path) -> tuple[list[str], list[str]]:
    """Keep the scores in a CSV file as records below *out*; return counts in words, and a sentence for each wrong row.

    Raises:
        UserError: the file cannot be read, or lacks a column.
    """
    found = import_rows(path, out)
    return found.lines(), found.problems


def import_rows(path: Path, out: Path) -> Imported:
    """Keep the scores in a CSV file as records below *out*; a row that cannot be kept costs no other.

    Raises:
        UserError: the file cannot be read, or lacks a column.
    """
    found = Imported()
    seen: set[str] = set()
    for line, row in _rows(path):
        found.read += 1
        try:
            record = record_of(row)
        except Refused as error:
            found.refused[str(error)] += 1
            continue
        except ValueError as error:
            found.refused[WRONG] += 1
            found.problems.append(f"{path}, line {line}: {error}.")
            continue
        folder = out / record["run_id"]
        if record["run_id"] in seen:
            found.duplicates += 1
        elif finished(folder):
            found.known += 1
        else:
            found.written.append(save(record, folder))
        seen.add(record["run_id"])
    return found


class Refused(Exception):
    """A row is of a kind that is not imported; the message names the metric and the reason."""


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of the last line of each row, and its values by column; ``None`` for those that it lacks."""
    text = reading.decoded(reading.content_of(path, str(path)), str(path))
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise UserError(f"{path} is not a file of torchgeo-bench: it has no column {', '.join(missing)}.")
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def record_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of one row; what the row leaves empty is null.

    Raises:
        Refused: it holds something else than a score.
        ValueError: a value cannot be right; the message is the beginning of a sentence.
    """
    if None in row or None in row.values():
        raise ValueError("the row has more or fewer fields than there are columns")
    for name in ("dataset", "method", "name", "metric_name"):
        if not row[name].strip():
            raise ValueError(f"{name} is empty")
    reported = METRICS.get(row["metric_name"])
    if reported is None:
        raise Refused(f"{row['metric_name']} ({COSTS if row['method'] == PROFILE else UNKNOWN})")
    system = " ".join(filter(None, (row["name"], row.get("normalization"))))
    setting = {key: row.get(key) or "" for key in SETTING} | {key: _whole(row, key) for key in SIZES}
    if not setting["n_test"]:
        raise ValueError("n_test is not a number of samples")
    plan = {
        "task": reported.task,
        "seed": _whole(row, "seed"),
        "division": EXTERNAL,
        "model": _model(row, system),
        "dataset": {"name": row["dataset"], "version": SOURCE, "fingerprint": "", "classes": [], "bands": []},
        "protocol": _protocol(setting, reported),
        "recipe": {"name": row["method"], **{key: row[key] for key in SEARCH if row.get(key)}},
    }
    if plan["seed"] is None:
        raise ValueError("seed is empty")
    entry = _metric(row, setting, reported)
    content = digest([plan, entry])[:12]
    record = blank_record(run_name((row["dataset"], system, SOURCE, f"s{plan['seed']}"), content), plan)
    unranked = {"name": "gate:reported", "ok": False, "detail": f"by {SOURCE}"}
    return record | {"status": "ok", "metrics": {reported.metric: entry}, "checks": [unranked]}


def _model(row: Mapping[str, str], system: str) -> dict[str, Any]:
    normalization = row.get("normalization")
    return {
        "name": row["name"],
        "label": system,
        "version": "unknown",
        "options": {"normalization": normalization} if normalization else {},
        "kind": EXTERNAL,
        "factory": row.get("model") or None,
        "tags": [SOURCE],
    }


def _protocol(setting: Mapping[str, Any], reported: Reported) -> dict[str, Any]:
    """A protocol that is theirs alone: its fingerprint is over what the row says of the setting."""
    return {
        "name": "-".join(filter(None, (SOURCE, setting["partition"], setting["bands"]))),
        "version": "unknown",
        "fingerprint": digest([SOURCE, dict(setting), reported.metric]),
        "task": reported.task,
        "split_sizes": {part: setting[f"n_{part}"] for part in ("train", "val", "test")},
        "split_sha256": {},
        "bands": None,
        "size": setting["image_size"],
        "primary": reported.metric,
        "metrics": [reported.metric],
        "selection": "unknown",
        "targets": [],
        "setting": dict(setting),
    }


def _metric(row: Mapping[str, str], setting: Mapping[str, Any], reported: Reported) -> dict[str, Any]:
    """The score as reported; an interval of 0 to 0, which stands for none there, is null."""
    value = _share(row, "metric_value")
    bounds = [_share(row, key) for key in ("ci_lower", "ci_upper") if row.get(key)]
    if len(bounds) == 1:
        raise ValueError("the interval has one end")
    interval = bounds if any(bounds) else None
    if interval and not interval[0] - ROUNDING <= value <= interval[1] + ROUNDING:
        raise ValueError(f"the interval {interval[0]:g} to {interval[1]:g} does not hold metric_value {value:g}")
    return {
        "value": value,
        "ci95": interval,
        "method": f"bootstrap of {SOURCE}" if interval else None,
        "n": setting["n_test"],
        "clusters": None,
        "version": "unknown",
        "higher_is_better": True,
        "unit": "fraction",
        "primary": True,
        "note": f"as reported by {SOURCE}",
    }


def _share(row: Mapping[str, str], key: str) -> float:
    value = _number(row, key)
    if not 0 <= value <= 1:
        raise ValueError(f"{key} {row[key]} is not a share from 0 to 1")
    return value


def _whole(row: Mapping[str, str], key: str) -> int | None:
    """A whole number, such as ``0`` and ``0.0``; ``None`` for an empty text."""
    if not row.get(key):
        return None
    value = _number(row, key)
    if value < 0 or not value.is_integer():
        raise ValueError(f"{key} {row[key]} is not a whole number from 0 on")
    return int(value)


def _number(row: Mapping[str, str], key: str) -> float:
    try:
        value = float(row[key])
    except ValueError:
        raise ValueError(f"{key} '{row[key][:40]}' is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{key} {row[key]} is not finite")
    return value
