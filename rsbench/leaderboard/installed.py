"""Whether what a record was made with is installed, and what is known of its metrics where it need not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsbench.leaderboard.census import NOT_INSTALLED, LeftOut
from rsbench.records.external import EXTERNAL
from rsbench.records.installed import absent, advice, is_known, to_install
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.task import Parts, get_task


def is_reported(record: Mapping[str, Any]) -> bool:
    """Whether a result is known from a report alone, so that nothing needs to be, or could be, computed again."""
    return record["plan"]["division"] == EXTERNAL and "predictions" not in record["artifacts"]


def check_installed(record: Mapping[str, Any]) -> None:
    """Check that what a record was made with is here.

    Raises:
        LeftOut: its task or a metric is not.
    """
    if is_reported(record):
        return
    missing = absent(record)
    if missing:
        raise LeftOut(NOT_INSTALLED, advice(record, missing), to_install(record))


def parts_of(record: Mapping[str, Any]) -> Parts | None:
    """Return what groups of samples a record's task keeps; ``None`` where it keeps none, or is not known here."""
    return None if is_reported(record) else get_task(record["plan"]["task"]).parts


def metric_spec(name: str, record: Mapping[str, Any]) -> MetricSpec:
    """Return the spec of a metric; of one that is not installed, what the record of a reported result says of it.

    Raises:
        UserError: it is not installed, and the result is not a reported one.
    """
    if is_reported(record) and not is_known("metric", name):
        entry = record["metrics"][name]
        return MetricSpec(
            name=name,
            summary="As reported.",
            factory="",
            version=entry["version"],
            higher_is_better=entry["higher_is_better"],
            range=(None, None),
            unit=entry["unit"],
        )
    return registry().get("metric", name)
