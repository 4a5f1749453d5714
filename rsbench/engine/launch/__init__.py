"""Processes in which runs happen: pools, workers, ranks.  What follows is found through the same hooks as what plugins
have."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.extensions import LauncherSpec, RunnerSpec
from rsbench.hookspecs import hookimpl


@hookimpl
def rsbench_launchers() -> Iterator[LauncherSpec]:
    """``--launcher local``."""
    yield LauncherSpec(name="local", summary="Processes of this machine.", pool=f"{__name__}.local:open_pool")


@hookimpl
def rsbench_runners() -> Iterator[RunnerSpec]:
    """What ``rsbench run`` and ``rsbench evaluate`` plan."""
    yield RunnerSpec(
        name="run",
        summary="Train a model, or load its weights, and score what it predicts.",
        run="rsbench.engine.run.scored_run:run",
    )
