"""Boards in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from rsbench.leaderboard.aggregate import Table
from rsbench.leaderboard.board import Board
from rsbench.leaderboard.render import sheet
from rsbench.leaderboard.render.cells import beside, body, closing, columns, remarks, title
from rsbench.leaderboard.render.sheet import Sheet

LEFT: Final = ("rank", "system", "recipe", "division", "note")
# One after another, until the others fit into the terminal; the other formats have them.
DROPPED: Final = ("scores of seeds", "training time (s)", "p above", "params", "division", "recipe", "letters", "ranks")


def render(board: Board, width: int | None = None) -> str:
    """Return the board as text with tables drawn by rich; *width* columns, the terminal's if ``None``."""

    def sheets(room: int) -> list[Sheet]:
        return [
            sheet.fitting(partial(_drawn, table, remarks(table)), (*beside(table), *DROPPED), room)
            for table in board.tables
        ]

    return sheet.terminal(sheets, "\n".join(closing(board)), width)


def _drawn(table: Table, lines: Sequence[str], without: Sequence[str]) -> Sheet:
    """A table without the columns of these names, and without those in which no row says anything."""
    names, rows = columns(table), body(table, without)
    used = [i for i, name in enumerate(names) if name not in without and any(r[i] not in ("", "-") for r in rows)]
    texts = [[row[i] for i in used] for row in rows]
    return Sheet(title(table), [names[i] for i in used], texts, LEFT, lines)
