"""Which colour and mark each row of a table has in its plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.render.html.svg import COLOURS, drawing, mark
from rsbench.records.store import LoadedRecord


@dataclass(frozen=True)
class Series:
    """A row with the id by which the page finds all that is drawn of it.

    The first rows have a colour, ranked ones before flagged ones, controls never.

    ``records``: those of its seeds, in order.
    """

    row: Row
    id: str
    colour: int | None
    records: tuple[LoadedRecord, ...]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The records themselves."""
        return [loaded.record for loaded in self.records]

    @property
    def name(self) -> str:
        """The system without its options."""
        return self.row.system.partition(" ")[0]

    @property
    def options(self) -> str:
        """The options that are not the default, and what it was trained with."""
        return self.row.system.partition(" ")[2]

    @property
    def swatch(self) -> Markup:
        """The mark alone, as in a legend."""
        return drawing(14, 14, mark(self.colour, 7, 7), label="", class_="swatch")


@dataclass(frozen=True)
class Figure:
    """A drawing with a heading and a sentence below."""

    title: str
    drawing: Markup
    caption: str = ""


def series_of(table: Table, records: Mapping[str, LoadedRecord], number: int) -> list[Series]:
    """Return the series of the table with this *number* on the page, in the order of its rows."""
    of_systems = sorted((row for row in table.rows if not row.control), key=lambda row: row.rank is None)
    colours = {id(row): colour for colour, row in enumerate(of_systems[:COLOURS])}
    return [
        Series(row, f"t{number}r{place}", colours.get(id(row)), tuple(records[r] for r in row.run_ids if r in records))
        for place, row in enumerate(table.rows)
    ]
