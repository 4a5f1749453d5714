"""Boards in the terminal."""

from __future__ import annotations

from typing import Final

from rsbench.leaderboard.board import Board
from rsbench.leaderboard.render.cells import BESIDE, cells, closing, columns, published, title, together

WIDE: Final = 110
# In narrow terminals; the other formats have them.
DROPPED: Final = (*(name for names in BESIDE.values() for name in names), "recipe", "division", "params", "train s")


def render(board: Board, width: int | None = None) -> str:
    """Return the board as text with tables drawn by rich; *width* columns, the terminal's if ``None``."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    stream = StringIO()
    console = Console(file=stream, width=width or max(Console().width, 80), highlight=False)
    for table in board.tables:
        rows = [cells(row, table) for row in table.rows]
        names = columns(table)
        used = [i for i, _ in enumerate(names) if any(r[i] not in ("", "-") for r in rows)]
        if console.width < WIDE:
            used = [i for i in used if names[i] not in DROPPED]
        drawn = RichTable(title=title(table), title_justify="left")
        for i in used:
            left = names[i] in ("rank", "system", "recipe", "division", "95 % interval", "note")
            wraps = names[i] in ("system", "note")
            drawn.add_column(names[i], justify="left" if left else "right", overflow="fold", no_wrap=not wraps)
        for texts in rows:
            drawn.add_row(*(Text(texts[i]) for i in used))
        console.print(drawn)
        for line in (*together(table), *published(table)):
            console.print(Text(line))
    for line in closing(board):
        console.print(Text(line))
    return stream.getvalue()
