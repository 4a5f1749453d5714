"""Whether what a record was made with is installed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.task import get_task


def is_known(kind: str, name: str) -> bool:
    """Whether there is a spec of this *kind* and name; the core's tasks need none."""
    if kind != "task":
        return registry().find(kind, name) is not None
    try:
        get_task(name)
    except UserError:
        return False
    return True


def absent(record: Mapping[str, Any]) -> list[str]:
    """Name the task and the metrics of a record that are not installed."""
    plan = record["plan"]
    missing = [] if is_known("task", plan["task"]) else [f"task '{plan['task']}'"]
    names = sorted({*plan["protocol"]["metrics"], *record["metrics"]})
    return missing + [f"metric '{name}'" for name in names if not is_known("metric", name)]


def to_install(record: Mapping[str, Any]) -> str | None:
    """Return the distribution that most likely has what a record needs and is not here, if it says so."""
    ours = {origin.distribution for origin in registry().plugins.values()}
    other = record["plan"]["model"].get("distribution")
    return other if other and other not in ours else None


def advice(record: Mapping[str, Any], missing: list[str]) -> str:
    """Return a sentence's end about what is *missing*: that it is, and what to install."""
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not installed; install {to_install(record) or 'the plugin that has it'}"


def metric_specs(record: Mapping[str, Any]) -> list[MetricSpec]:
    """Return the specs of those of a record's metrics that are installed."""
    return [registry().get("metric", name) for name in record["metrics"] if is_known("metric", name)]
