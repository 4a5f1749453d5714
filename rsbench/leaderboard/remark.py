"""What a plugin says of a table in several rows."""

from __future__ import annotations

from collections.abc import Sequence


class Remark(str):
    """A sentence of the hook ``rsbench_remarks`` that formats with room for it, such as a page, show as a small table.

    Args:
        sentence: for formats of text.
        heading: of the small table.
        columns: names of its columns.
        rows: its cells, one for each column.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __new__(cls, sentence: str, heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Remark:
        """Keep what the small table holds beside the sentence."""
        made = super().__new__(cls, sentence)
        made.heading, made.columns, made.rows = heading, tuple(columns), tuple(map(tuple, rows))
        return made
