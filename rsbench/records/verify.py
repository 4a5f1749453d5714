"""Recomputes a record's numbers from its stored predictions, or from its timed windows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from rsbench.metrics.evaluate import evaluate
from rsbench.records import throughput
from rsbench.records.store import LoadedRecord, sha256_file
from rsbench.registry import registry
from rsbench.tasks.kinds import kind_of, metric_context

TOLERANCE: Final = 1e-9


def verify(loaded: LoadedRecord) -> list[str]:
    """Return what does not match: a changed or missing file, or a number that comes out differently."""
    record = loaded.record
    if record["status"] != "ok":
        return []
    if throughput.is_throughput(record):
        return throughput.mismatches(record)
    path = loaded.artifact("predictions")
    if path is None:
        return ["its predictions are not at hand"]
    wrong = check_file(path, record["artifacts"]["predictions"])
    if wrong:
        return wrong
    plan = record["plan"]
    outcome = kind_of(plan["task"]).read(path)
    specs = [registry().get("metric", name) for name in record["metrics"]]
    again = evaluate(
        specs,
        outcome.predictions,
        outcome.references,
        metric_context(plan),
        primary=plan["protocol"]["primary"],
        clusters=outcome.clusters,
        kept=outcome.kept,
    )
    for name, stored in record["metrics"].items():
        if stored["version"] != again[name]["version"]:
            wrong.append(f"{name}: computed by version {stored['version']}, installed is {again[name]['version']}")
        elif not _close(stored["value"], again[name]["value"]):
            wrong.append(f"{name}: {stored['value']} is stored, {again[name]['value']} comes out")
        elif not _close(stored["ci95"], again[name]["ci95"]):
            wrong.append(f"{name}: interval {stored['ci95']} is stored, {again[name]['ci95']} comes out")
    return wrong


def check_content(name: str, content: bytes, artifact: dict[str, Any]) -> list[str]:
    """As :func:`check_file`, of what has been read of the file called *name*."""
    if len(content) != artifact["bytes"] or hashlib.sha256(content).hexdigest() != artifact["sha256"]:
        return [f"{name} is not the file that the record was made from"]
    return []


def check_file(path: Path, artifact: dict[str, Any]) -> list[str]:
    """Return what does not match between a file and its entry in a record: nothing, or that it is another file."""
    if path.stat().st_size != artifact["bytes"] or sha256_file(path) != artifact["sha256"]:
        return [f"{path.name} is not the file that the record was made from"]
    return []


def _close(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, (list, tuple)):
        return all(_close(x, y) for x, y in zip(a, b, strict=True))
    return abs(a - b) <= TOLERANCE
