"""Which color and mark each row of a table has in its plots."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.recipe_labels import system_labels
from rsbench.records.store import LoadedRecord
from rsbench_html.svg import COLORS, drawing, mark


@dataclass(frozen=True)
class Series:
    """A row with the id by which the page finds all that is drawn of it.

    The first rows have a color, ranked ones before flagged ones, baselines never.

    ``label``: the name of the system, which no other row has.  ``brief``: how many options that are, where they are
    several and their number is enough to tell the row from the others; else nothing.  ``records``: those of its seeds,
    in order; none where they hold something that cannot be drawn.
    """

    row: Row
    label: str
    id: str
    color: int | None
    records: tuple[LoadedRecord, ...]
    brief: str = ""

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The records themselves."""
        return [loaded.record for loaded in self.records]

    @property
    def name(self) -> str:
        """The system without its options."""
        return self.label.partition(" ")[0]

    @property
    def options(self) -> str:
        """The options that are not the default, and what tells it from a row that would read the same."""
        return self.label.partition(" ")[2]

    @property
    def swatch(self) -> Markup:
        """The mark alone, as in a legend."""
        return drawing(14, 14, mark(self.color, 7, 7), label="", class_="swatch")


@dataclass(frozen=True)
class Figure:
    """A drawing with a heading and a sentence below."""

    title: str
    drawing: Markup
    caption: str = ""


def words(name: str) -> str:
    """A metric's name as it is read: ``overall accuracy``."""
    return name.replace("_", " ")


def series_of(table: Table, number: int) -> list[Series]:
    """Return the series of the table with this *number* on the page, in the order of its rows."""
    of_systems = sorted((row for row in table.rows if not row.baseline), key=lambda row: not row.sound)
    colors = {id(row): color for color, row in enumerate(of_systems[:COLORS])}
    labels = system_labels(table.rows)
    briefs = [_brief(label) for label in labels]
    times = Counter((label.partition(" ")[0], brief) for label, brief in zip(labels, briefs, strict=True))
    return [
        Series(row, label, f"t{number}r{place}", colors.get(id(row)), row.records, brief)
        for place, (row, label, brief) in enumerate(
            (row, label, brief if times[label.partition(" ")[0], brief] == 1 else "")
            for row, label, brief in zip(table.rows, labels, briefs, strict=True)
        )
    ]


def _brief(label: str) -> str:
    """Options by their number, and what is said after them; nothing for a single one."""
    many = label.count("=")
    return f"+{many} options{label.rpartition(')')[2]}" if many > 1 else ""
