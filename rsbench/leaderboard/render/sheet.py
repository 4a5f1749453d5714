"""Tables of plain texts, in the terminal and as Markdown, for boards that rank nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from rsbench.leaderboard.census import Census
from rsbench.leaderboard.render.data import csv_of, json_of


class Counted(Protocol):
    """A board that says where the records went."""

    @property
    def census(self) -> Census:
        """The counts."""


Board = TypeVar("Board", bound=Counted)
Draw = Callable[[Board], str]

FOLDED: Final = 24  # characters to which a column of words may be folded without harm
LEAST: Final = 10  # of the notes, where there is not even room for that


@dataclass(frozen=True)
class Sheet:
    """A heading, the names of columns, a text for each cell, and lines that follow.

    Attributes:
        left: the columns that are aligned to the left and may be folded.
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Collection[str]
    lines: Sequence[str] = ()

    @property
    def width(self) -> int:
        """Characters that a terminal needs for the table."""
        longest = [max(map(len, column)) for column in zip(self.names, *self.rows, strict=True)]
        words = [min(n, FOLDED) if name in self.left else n for name, n in zip(self.names, longest, strict=True)]
        return sum(words) + 3 * len(words) + 1


def fitting(draw: Callable[[Sequence[str]], Sheet], dropped: Sequence[str], room: int) -> Sheet:
    """Return a table with as many of its columns as a terminal of *room* characters has place for.

    Args:
        draw: returns the table without the columns of these names.
        dropped: columns that may be left out, the first of them first.
    """
    tried = (draw(dropped[:k]) for k in range(len(dropped)))
    return next((made for made in tried if made.width <= room), draw(dropped))


def formats(
    terminal: Draw[Board], markdown: Draw[Board], flat: Callable[[Board], Sequence[dict[str, Any]]]
) -> dict[str, Draw[Board]]:
    """Return what draws a board in each format, with JSON and CSV (no text that a spreadsheet would run) of its *flat*
    rows."""
    return {
        "terminal": terminal,
        "markdown": markdown,
        "csv": lambda board: csv_of(flat(board)),
        "json": lambda board: json_of(flat(board), board.census),
    }


def terminal(sheets: Callable[[int], Sequence[Sheet]], closing: str, width: int | None) -> str:
    """Return tables drawn by rich; *width* columns, the terminal's if ``None``.

    Args:
        sheets: returns the tables for a terminal of so many columns.
    """
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = StringIO()
    console = Console(file=stream, width=width or max(Console().width, 80), highlight=False)
    for sheet in sheets(console.width):
        drawn = Table(title=Text(sheet.title), title_justify="left")
        narrow = max(FOLDED - max(sheet.width - console.width, 0), LEAST)
        for name in sheet.names:
            left = name in sheet.left
            # What does not fit is taken from the notes at the end, not from the names at the start.
            most = narrow if narrow < FOLDED and left and name == sheet.names[-1] else None
            drawn.add_column(
                name, justify="left" if left else "right", overflow="fold", no_wrap=not left, max_width=most
            )
        for texts in sheet.rows:
            drawn.add_row(*(Text(text) for text in texts))
        console.print(drawn)
        for line in sheet.lines:
            console.print(Text(line))
    if closing:
        console.print(Text(closing))
    return stream.getvalue()


def markdown(heading: str, sheets: Sequence[Sheet], closing: str) -> str:
    """Return tables as Markdown."""
    from tabulate import tabulate

    from rsbench.foreign import in_markdown as escape

    parts = [f"# {heading}\n"]
    for sheet in sheets:
        text = tabulate(
            [[escape(c) for c in row] for row in sheet.rows],
            sheet.names,
            tablefmt="github",
            disable_numparse=True,
            colalign=["left" if name in sheet.left else "right" for name in sheet.names],
        )
        lines = "".join(f"\n{escape(line)}\n" for line in sheet.lines)
        parts.append(f"## {escape(sheet.title)}\n{lines}\n{text}\n")
    parts += [f"{escape(paragraph)}\n" for paragraph in closing.split("\n\n")]
    return "\n".join(parts)


def number(value: float) -> str:
    """Return three significant digits, all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
