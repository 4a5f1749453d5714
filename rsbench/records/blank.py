"""A record before anything is known: failed, every result empty or null."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

SchemaName = Literal["rsbench.record/2"]  # the number goes up with a step in rsbench.records.upgrade
SCHEMA: Final[str] = get_args(SchemaName)[0]


def blank_record(run_id: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of *plan* (its portable form) to be filled."""
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": "failed",
        "error": None,
        "plan": dict(plan),
        "metrics": {},
        "by_group": {},
        "train": None,
        "perf": None,
        "env": None,
        "checks": [],
        "artifacts": {},
        "timing": {},
        "amended": [],
        "digest": None,
    }
