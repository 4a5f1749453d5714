"""The board of time to accuracy."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench import hookimpl
from rsbench.extensions import BoardSpec


@hookimpl
def rsbench_boards() -> Iterator[BoardSpec]:
    """``leaderboard --time-to``."""
    yield BoardSpec(
        name="time-to",
        summary="Seconds and samples of training until validation scores were reached.",
        title="time to accuracy",
        build="rsbench_time_to.board:build",
        render="rsbench_time_to.render:RENDER",
        takes=("task", "dataset", "protocol", "division", "tag"),
        numbers={"target": ("SCORE", "this score, as 0.97. May be repeated. Default: the protocol's.")},
        examples=("rsbench leaderboard --time-to --target 0.9 --target 0.97 --protocol in-domain-60-20-20",),
    )
