"""What papers report, checked by exact arithmetic on the digits as they are printed, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.leaderboard.aggregate import Table


@hookimpl
def rsbench_commands(app: Any, chosen: str | None) -> None:
    """``rsbench claims``."""
    from rsbench_claims.command import register

    register(app, chosen)


@hookimpl
def rsbench_remarks(table: Table) -> Sequence[str]:
    """The published numbers that a table can be compared with."""
    from rsbench_claims.reported import published

    return published(table)


@hookimpl
def rsbench_checks() -> Mapping[str, str]:
    """What the conformance kit checks of claims."""
    return {"claims": "rsbench_claims.conformance:groups"}
