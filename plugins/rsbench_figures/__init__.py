"""Figures of a paper: score against cost, learning curves, reliability and confusion, as PNG, PDF or SVG."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench import hookimpl
from rsbench.extensions import FormatSpec


@hookimpl
def rsbench_formats() -> Iterator[FormatSpec]:
    """The formats ``png``, ``pdf`` and ``svg``."""
    for name in ("png", "pdf", "svg"):
        yield FormatSpec(
            name=name,
            summary="Figures of a paper, a file each: score by parameters and by time, curves, reliability, confusion.",
            suffix=f".{name}",
            files=f"rsbench_figures.files:{name}",
        )
