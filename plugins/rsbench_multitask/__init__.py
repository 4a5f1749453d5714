"""Several datasets and tasks, learned by one network at once, beside the same tasks learned alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rsbench import hookimpl
from rsbench.extensions import RunnerSpec

if TYPE_CHECKING:
    from rsbench.leaderboard.aggregate import Table


@hookimpl
def rsbench_commands(app: Any, chosen: str | None) -> None:
    """``rsbench multitask``."""
    from rsbench_multitask.command import register

    register(app, chosen)


@hookimpl
def rsbench_runners() -> Iterator[RunnerSpec]:
    """What ``rsbench multitask`` plans."""
    yield RunnerSpec(
        name="multitask", summary="Train several tasks at once.", run="rsbench_multitask.run:run", group="family"
    )


@hookimpl
def rsbench_remarks(table: Table) -> list[str]:
    """What training tasks together brought, where they were also trained alone."""
    from rsbench_multitask.compare import sentences

    return sentences(table)
