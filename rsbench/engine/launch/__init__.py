"""Processes in which runs happen: pools, workers, ranks.  The launcher below is found through the same hook as those of
plugins."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.extensions import LauncherSpec
from rsbench.hookspecs import hookimpl


@hookimpl
def rsbench_launchers() -> Iterator[LauncherSpec]:
    """``--launcher local``."""
    yield LauncherSpec(name="local", summary="Processes of this machine.", pool=f"{__name__}.local:open_pool")
