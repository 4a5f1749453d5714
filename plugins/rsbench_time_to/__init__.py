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
    )
