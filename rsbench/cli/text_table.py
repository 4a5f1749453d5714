"""Plain columns for a terminal: aligned, cut at its width where it has one, whole where they are piped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from rsbench.foreign import in_one_line

GAP: Final = "  "
LEAST: Final = 24  # letters of the last column; with fewer, columns before it are dropped


def lines(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """Yield a table line by line, without columns in which nothing stands.

    The first column is never cut and the last, of sentences, is cut at *width*; where less than :data:`LEAST` letters
    are left to it, the columns between are dropped, the last of them first.

    Args:
        header: names of the columns.
        rows: one text a column.
        width: letters of a line; ``None`` for no limit.
    """
    cells = [[*header], *([in_one_line(cell) for cell in row] for row in rows)]
    shown = [k for k in range(len(header)) if any(row[k] for row in cells[1:])] or [0]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    while width and len(shown) > 2 and sum(widths[k] + len(GAP) for k in shown[:-1]) + LEAST > width:
        del shown[-2]
    for row in cells:
        line = GAP.join(f"{row[k]:<{widths[k]}}" for k in shown[:-1])
        left = (width and max(width - len(line) - len(GAP), 0)) or None
        yield f"{line}{GAP if line else ''}{_cut(row[shown[-1]], left)}".rstrip()


def terminal_width() -> int | None:
    """Return the letters of a line of the terminal; ``None`` where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else f"{text[: max(width - 3, 0)]}..."
