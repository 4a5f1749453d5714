"""The page: boards as one HTML file with plots, samples and every record."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench import hookimpl
from rsbench.extensions import FormatSpec


@hookimpl
def rsbench_formats() -> Iterator[FormatSpec]:
    """The format ``html``."""
    yield FormatSpec(
        name="html",
        summary="One page for a browser with plots, samples and every record; it needs no other file.",
        suffix=".html",
        render="rsbench_html.render:render",
        takes=("output", "samples"),
        samples="rsbench_html.samples:collect",
    )
