"""Runs on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench import hookimpl
from rsbench.extensions import LauncherSpec


@hookimpl
def rsbench_launchers() -> Iterator[LauncherSpec]:
    """``--launcher ray``."""
    yield LauncherSpec(
        name="ray",
        summary="Tasks of a Ray cluster.",
        pool="rsbench_ray.pool:RayPool",
        takes=("address", "cpus", "gpus"),
    )
