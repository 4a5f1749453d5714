"""Boards as Markdown tables."""

from __future__ import annotations

from rsbench.leaderboard.board import Board
from rsbench.leaderboard.render.cells import NOTE, cells, columns, title, together


def render(board: Board) -> str:
    """Return the board as Markdown."""
    from tabulate import tabulate

    parts = ["# Leaderboard\n"]
    for table in board.tables:
        rows = [[_escape(c) for c in cells(row, table)] for row in table.rows]
        text = tabulate(rows, columns(table), tablefmt="github", disable_numparse=True)
        parts.append(f"## {title(table)}\n\nProtocol fingerprint `{table.fingerprint[:16]}`.\n\n{text}\n")
        parts += [f"- {_escape(line)}\n" for line in together(table)]
    parts.append(f"{NOTE if board.tables else 'No finished runs to rank.'}\n")
    return "\n".join(parts)


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
