"""Builds a board: filters records, groups them, ranks each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rsbench import renamed
from rsbench.leaderboard.aggregate import Table, group
from rsbench.leaderboard.census import FILTERED, OTHER, Census
from rsbench.leaderboard.members import Filters, Member, member
from rsbench.leaderboard.rank import rank
from rsbench.leaderboard.reading import PredictionReaders
from rsbench.reading import collector_paused
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry


@dataclass
class Board:
    """Ranked tables, one for each protocol fingerprint; where the records went; and runs that failed."""

    tables: list[Table]
    census: Census = field(default_factory=lambda: Census(0))
    failures: Sequence[LoadedRecord] = ()

    @property
    def records(self) -> list[LoadedRecord]:
        """The records of all rows."""
        return [loaded for table in self.tables for row in table.rows for loaded in row.records]

    @property
    def problems(self) -> list[str]:
        """One sentence for each record that is left out by name; for each protocol of which there are two tables,
        because its data or metrics have changed; and one where all records are of another board."""
        prints: dict[tuple[str, str], list[str]] = {}
        for table in self.tables:
            prints.setdefault((table.dataset, table.protocol), []).append(table.fingerprint[:16])
        alone = [] if self.tables else [n for n in registry().specs("board") if self.census.left_out[OTHER.format(n)]]
        hints = [f"Nothing but {name} was measured in these records: add --{name}." for name in alone[:1]]
        return [*self.census.problems, *hints] + [
            f"'{protocol}' of {dataset} stands for {len(found)} fingerprints ({', '.join(found)}): its data or metrics "
            "have changed, and the tables cannot be compared."
            for (dataset, protocol), found in prints.items()
            if len(found) > 1
        ]


def build(
    records: Sequence[LoadedRecord],
    *,
    task: str | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
    division: str | None = None,
    tag: str | None = None,
    readers: PredictionReaders | None = None,
    known: Sequence[Member] = (),
    unreadable: int = 0,
) -> Board:
    """Return the board of the records that match every filter given; *tag* is one of the model's.

    Records of something else than scores have boards of their own: :class:`rsbench.extensions.BoardSpec`.

    Args:
        records: that were read.
        task, dataset, protocol, division, tag: filters; ``None`` is anything.
        readers: those that may have been started before the records were read.
        known: what need not be read, because it was before.
        unreadable: how many records could not be read.
    """
    filters = Filters(task, dataset, protocol, division, tag and renamed.first(renamed.TAG, tag))
    census = Census(len(records) + len(known), unreadable)
    with collector_paused(), readers or PredictionReaders() as used:
        used.start(len(records))
        members = [m for loaded in records if (m := census.take(loaded, lambda r: member(r, filters))) is not None]
        if used.cache:
            used.cache.note(members)
        wanted = [*filter(filters.match_member, known)]
        census.left_out[FILTERED] += len(known) - len(wanted)
        members += wanted
        members.sort(key=lambda m: (m.run_id, m.loaded.file))
        tables = group(members, census, used)
        for table in tables:
            rank(table)
    rows = [row for table in tables for row in table.rows]
    census.close(sum(len(row.records) for row in rows), len(rows))
    return Board(tables, census, census.failures)
