"""Boards as Markdown tables."""

from __future__ import annotations

from rsbench.foreign import in_markdown as escape
from rsbench.leaderboard.board import Board
from rsbench.leaderboard.render.cells import body, closing, columns, remarks, title


def render(board: Board) -> str:
    """Return the board as Markdown."""
    from tabulate import tabulate

    parts = ["# Leaderboard\n"]
    for table in board.tables:
        rows = [[escape(c) for c in texts] for texts in body(table)]
        text = tabulate(rows, columns(table), tablefmt="github", disable_numparse=True)
        parts.append(f"## {escape(title(table))}\n\nProtocol fingerprint `{table.fingerprint[:16]}`.\n\n{text}\n")
        parts += [f"- {escape(line)}\n" for line in remarks(table)]
    parts += [f"{escape(line)}\n" for line in closing(board)]
    return "\n".join(parts)
