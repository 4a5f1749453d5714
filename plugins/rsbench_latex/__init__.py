"""Boards as LaTeX tables, with what they cite."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench import hookimpl
from rsbench.extensions import FormatSpec


@hookimpl
def rsbench_formats() -> Iterator[FormatSpec]:
    """The format ``latex``."""
    yield FormatSpec(
        name="latex",
        summary="Tables for a paper (booktabs), and a .bib file of what they cite.",
        suffix=".tex",
        render="rsbench_latex.latex:render",
        takes=("output",),
        beside={".bib": "rsbench_latex.latex:render_bib"},
    )
