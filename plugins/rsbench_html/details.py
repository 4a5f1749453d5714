"""A record as a reader wants it: metrics, checks, and the plan in groups of facts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rsbench.metrics.display import factor, shown
from rsbench.records.store import LoadedRecord

UP: Final = 2  # folders that a link to a record may climb; more would tell of this machine
# Facts that others on the page say already, or that are of no use to a reader.
SKIPPED: Final = {"run_id", "store", "out", "data_root", "label", "classes", "summary", "tasks", "citation", "metrics"}


def link(loaded: LoadedRecord, page: Path | None) -> str | None:
    """Return the address of a record's file relative to the page, or ``None`` where the two lie far apart."""
    if page is None:
        return None
    way = Path(os.path.relpath(loaded.path.resolve(), page.resolve().parent))
    return None if way.is_absolute() or way.parts.count("..") > UP else quote(way.as_posix())


def metrics(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each metric's texts: name, value, sign, interval, how it was obtained, and whether it is the primary."""
    made = []
    for name, entry in record["metrics"].items():
        unit = entry["unit"]
        interval = " to ".join(shown(v, unit) for v in entry["ci95"]) if entry["ci95"] else ""
        made.append(
            {
                "name": name,
                "value": shown(entry["value"], unit),
                "sign": factor(unit)[1] or unit,
                "interval": interval,
                "how": ", ".join(filter(None, (entry["method"], f"version {entry['version']}"))),
                "note": entry.get("note") or "",
                "primary": entry["primary"],
            }
        )
    return made


def basis(record: Mapping[str, Any]) -> str:
    """Return how many samples, in how many clusters, the metrics are of."""
    found = {
        f"{entry['n']} samples" + (f" in {entry['clusters']} clusters" if entry["clusters"] else "")
        for entry in record["metrics"].values()
    }
    return " or ".join(sorted(found))


def facts(record: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return headings, each with its names and values; what is not known is left out."""
    plan = record["plan"]
    own = {k: plan.get(k) for k in ("task", "seed", "division", "device", "threads", "overfit", "family")}
    train = {k: v for k, v in (record["train"] or {}).items() if k != "curve"}
    groups = {
        "Run": {**own, "created": record["created"], "timing": record["timing"], "error": record["error"]},
        "Model": plan["model"],
        "Data": plan["dataset"],
        "Protocol": plan["protocol"],
        "Recipe": plan["recipe"],
        "Training": train,
        "Speed": record["perf"] or {},
        "Machine": record["env"] or {},
        "Files": record["artifacts"],
    }
    made = [(title, _pairs(group)) for title, group in groups.items()]
    return [(title, pairs) for title, pairs in made if pairs]


def _pairs(group: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), text) for name, v in group.items() if name not in SKIPPED and (text := _text(v))]


def _text(value: Any) -> str:
    """A value in print; empty for what is not known or says nothing."""
    if value is None or value == "" or value == {} or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {t}" for k, v in value.items() if (t := _text(v)))
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(v) or json.dumps(v) for v in value)
    text = str(value)
    is_hash = len(text) == 64 and not set(text) - set("0123456789abcdef")
    return text[:16] + "\N{HORIZONTAL ELLIPSIS}" if is_hash else text
