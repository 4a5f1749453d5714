"""Boards as text.  The formats below are found through the same hook as those of plugins."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.extensions import FormatSpec
from rsbench.hookspecs import hookimpl


@hookimpl
def rsbench_formats() -> Iterator[FormatSpec]:
    """For people and programs."""
    yield FormatSpec(name="terminal", summary="Tables for a terminal.", render=f"{__name__}.terminal:render")
    yield FormatSpec(name="markdown", summary="Tables.", suffix=".md", render=f"{__name__}.markdown:render")
    yield FormatSpec(name="csv", summary="One line a row.", suffix=".csv", render=f"{__name__}.data:render_csv")
    yield FormatSpec(
        name="json", summary="Rows, and where the records went.", suffix=".json", render=f"{__name__}.data:render_json"
    )
