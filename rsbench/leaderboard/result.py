"""A leaderboard as an object: it shows itself in a notebook, and becomes text, a data frame or files.

Importing this module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsbench.errors import UserError
from rsbench.execution import OUT
from rsbench.files import write_atomically
from rsbench.leaderboard import formats
from rsbench.reading import collector_paused
from rsbench.records import BOARD_CACHE, FILE
from rsbench.states import Listing

if TYPE_CHECKING:
    import pandas as pd

    from rsbench.leaderboard.aggregate import Table
    from rsbench.leaderboard.board import Board
    from rsbench.leaderboard.members import Member
    from rsbench.records.sources import Source


@dataclass(frozen=True)
class Leaderboard:
    """A board, and one sentence for each record or protocol that something is wrong with."""

    board: Board
    problems: tuple[str, ...] = ()

    @property
    def tables(self) -> list[Table]:
        """The ranked tables, one for each protocol."""
        return self.board.tables

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a system with raw values; what is not known is missing."""
        import pandas as pd

        from rsbench.leaderboard.render.data import rows

        return pd.DataFrame(rows(self.board))

    def render(self, format_: str, output: Path | None = None, samples: formats.Samples | None = None) -> str:
        """Return the board as text in a format that ``rsbench list formats`` shows.

        Args:
            output: the file it is to be written to, which latex takes its labels from and html its links.
            samples: for html, what :meth:`samples` returned.

        Raises:
            UserError: there is no such format.
        """
        return formats.render(formats.find(format_), self.board, output, samples)

    def files(self, format_: str, output: Path, samples: formats.Samples | None = None) -> dict[Path, bytes]:
        """Return what is to be written: *output*, and what belongs beside it."""
        return formats.files(formats.find(format_), self.board, output, samples)

    def save(self, format_: str, output: Path, samples: formats.Samples | None = None) -> None:
        """Write the board; latex writes a ``.bib`` beside it."""
        for path, data in self.files(format_, output, samples).items():
            write_atomically(path, data)

    def samples(
        self,
        count: int,
        data_root: Path | None = None,
        *,
        format_: str = "html",
        generated: bool = False,
        problems: list[str] | None = None,
    ) -> dict[str, Sequence[Any]]:
        """Return protocol fingerprint -> sample predictions on *count* test images, where the data are available, in
        the form that a format shows.

        Of the others, *problems* gets a line that says why there are none.  With *generated*, only of generated data.

        Args:
            count: images of the test split; 0 gives none.
            data_root: where prepared datasets are; ``None``: the default one.
            format_: whose samples are wanted.
            generated: of generated data alone, which need no download.
            problems: gets a line for each table that has none.
        """
        from rsbench.data.location import data_root as located
        from rsbench.registry import registry

        found: dict[str, Sequence[Any]] = {}
        for table in self.tables if count else ():
            try:
                if not generated or registry().get("dataset", table.dataset).generated:
                    found[table.fingerprint] = formats.collect(formats.find(format_), table, located(data_root), count)
            except UserError as error:
                if problems is not None:
                    problems.append(f"no samples of {table.dataset}: {error}")
        return found

    def __str__(self) -> str:
        return self.render("terminal")

    def _repr_html_(self) -> str:
        from rsbench.leaderboard.render import notebook

        return notebook.render(self.board, self.problems)


@collector_paused()
def leaderboard(
    records: Source | Iterable[Source] = (),
    *,
    task: str | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
    division: str | None = None,
    tag: str | None = None,
) -> Leaderboard:
    """Rank records, one table for each protocol; only those that match every filter given.

    Args:
        task, dataset, protocol, division: filters; ``None`` is anything.
        records: folders, files, outcomes of ``rsbench.run`` or what ``rsbench.load_records`` returned; one or many.
            Default: ``rsbench-results``.
        tag: one of the model's, such as ``reconstruction``.

    Raises:
        UserError: a path is not there.
    """
    many = isinstance(records, Iterable) and not isinstance(records, str | PathLike)
    sources: list[Source] = [*records] if many else [records]  # type: ignore[misc,list-item]
    folders = [Path(source) for source in sources or (OUT,) if isinstance(source, str | PathLike)]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    listing = Listing(folder, FILE) if len(sources) < 2 and folder and (folder / BOARD_CACHE).is_dir() else None

    from rsbench.leaderboard.board import build  # while files are being listed
    from rsbench.leaderboard.cache import Cache
    from rsbench.leaderboard.reading import PredictionReaders
    from rsbench.records.sources import load_records

    problems: list[str] = []
    known: list[Member] = []
    cache = Cache(folder, listing) if folder else None
    with PredictionReaders(cache) as readers:

        def choose(files: list[str]) -> list[str]:
            if cache is not None:
                found, files = cache.members(files)
                known.extend(found)
            readers.start(len(files))
            return files

        listed = partial(cache.files, listing) if cache and listing else None
        loaded = load_records(*sources, problems=problems, choose=choose, listed=listed)
        board = build(
            loaded,
            task=task,
            dataset=dataset,
            protocol=protocol,
            division=division,
            tag=tag,
            readers=readers,
            known=known,
            unreadable=len(problems),
        )
    if cache is not None:
        cache.save()
    return Leaderboard(board, (*problems, *board.problems))
