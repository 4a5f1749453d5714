"""Which figures are drawn of a board, and into which files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rsbench.errors import UserError
from rsbench.leaderboard.board import Board


def write(board: Board, output: Path, suffix: str) -> dict[Path, bytes]:
    """Return file -> figure: each of :data:`rsbench_figures.draw.FIGURES` that the board has, of each table.

    ``papers/board.pdf`` gives ``papers/board-curves.pdf`` and so on; an *output* that is called as a figure, such as
    ``papers/curves.pdf``, that one alone.  Where there are several tables, dataset and protocol are in the names.

    Raises:
        UserError: there is nothing to draw, or no matplotlib to draw it.
    """
    try:
        from rsbench_figures import draw
    except ImportError as error:
        if error.name != "matplotlib":
            raise
        raise UserError("Figures need matplotlib: pip install 'rsbench[figures]'.") from None
    asked = [output.stem] if output.stem in draw.FIGURES else [*draw.FIGURES]
    found = {}
    for table in board.tables:
        place = f"-{table.dataset}-{table.protocol}".replace(":", "-") if len(board.tables) > 1 else ""
        for name in asked:
            stem = output.stem + place + (f"-{name}" if len(asked) > 1 else "")
            if (data := draw.drawn(name, table, suffix)) is not None:
                found[output.with_name(f"{stem}.{suffix}")] = data
    if not found:
        raise UserError(f"These records have nothing that {', '.join(asked)} could be drawn of.")
    return found


png, pdf, svg = (partial(write, suffix=suffix) for suffix in ("png", "pdf", "svg"))
