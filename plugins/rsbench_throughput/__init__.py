"""Samples a second of inference and training, measured so that the numbers can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rsbench import hookimpl
from rsbench.extensions import BoardSpec, RunnerSpec


@hookimpl
def rsbench_commands(app: Any, chosen: str | None) -> None:
    """``rsbench throughput``."""
    from rsbench_throughput.command import register

    register(app, chosen)


@hookimpl
def rsbench_runners() -> Iterator[RunnerSpec]:
    """What ``rsbench throughput`` plans."""
    yield RunnerSpec(
        name="throughput",
        summary="Measure the speed of a network.",
        run="rsbench_throughput.measure:run",
        division="throughput",
        keeps=("compile", "threads"),
        run_id="rsbench_throughput.record:run_id",
        checked="rsbench_throughput.record:checked",
        recounted="rsbench_throughput.recount:recounted",
    )


@hookimpl
def rsbench_boards() -> Iterator[BoardSpec]:
    """``leaderboard --throughput``."""
    yield BoardSpec(
        name="throughput",
        summary="Speeds that rsbench throughput measured.",
        title="throughput",
        build="rsbench_throughput.board:build",
        render="rsbench_throughput.render:RENDER",
        takes=("task", "tag"),
        examples=("rsbench leaderboard --throughput --format csv --output speeds.csv",),
    )
