"""Boards as a piece of HTML for a notebook: tables without styles or scripts of their own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rsbench.leaderboard.board import Board
from rsbench.leaderboard.render.cells import body, closing, columns, remarks, title


def render(board: Board, problems: Sequence[str] = ()) -> str:
    """Return the board as HTML, with its *problems* before it; columns in which no row says anything are left out."""
    from tabulate import tabulate

    parts = [f"<p>{escape(problem)}</p>" for problem in problems]
    for table in board.tables:
        rows = body(table)
        used = [i for i, _ in enumerate(columns(table)) if any(row[i] not in ("", "-") for row in rows)]
        names = [columns(table)[i] for i in used]
        shown = tabulate([[row[i] for i in used] for row in rows], names, tablefmt="html", disable_numparse=True)
        parts += [f"<h4>{escape(title(table))}</h4>", str(shown)]
        parts += [f"<p>{escape(line)}</p>" for line in remarks(table)]
    parts += [f"<p>{escape(line)}</p>" for line in closing(board)]
    return "\n".join(parts)
