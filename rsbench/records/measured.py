"""Records of something else than scores, which have divisions of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsbench.extensions import RunnerSpec
from rsbench.plan import DIVISIONS
from rsbench.registry import registry


def is_measured(record: Mapping[str, Any]) -> bool:
    """Whether a record holds no scores."""
    return record["plan"].get("division") not in (None, *DIVISIONS)


def runner_of(record: Mapping[str, Any]) -> RunnerSpec | None:
    """Return what knows the division of such a record; ``None`` where it is not installed."""
    found = registry().specs("runner").values()
    return next((spec for spec in found if spec.division == record["plan"]["division"]), None)
