"""Rows as text, shared by every format that people read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from rsbench.containment import contained
from rsbench.errors import UserError
from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.board import Board
from rsbench.leaderboard.recipe_labels import system_labels
from rsbench.metrics.display import factor, p_value, shown
from rsbench.registry import registry
from rsbench.tasks.task import get_task

COLUMNS: Final = (
    "rank",
    "ranks",
    "letters",
    "system",
    "recipe",
    "division",
    "seeds",
    "score",
    "95 % CI",
    "p above",
    "scores of seeds",
    "params",
    "training time (s)",
    "note",
)


def columns(table: Table) -> tuple[str, ...]:
    """Headings of a table: :data:`COLUMNS`, and what is printed beside the score."""
    after = COLUMNS.index("p above") + 1
    return (*COLUMNS[:after], *beside(table), *COLUMNS[after:])


def beside(table: Table) -> tuple[str, ...]:
    """Metrics that are printed beside the score."""
    tasks = registry().specs("task")  # one from elsewhere may have none
    return tuple(name for name in get_task(table.task).beside if name in table.units) if table.task in tasks else ()


def title(table: Table) -> str:
    """Heading of a table."""
    sign = factor(table.unit)[1]
    primary = table.primary + (f" {sign}" if sign not in ("", "%") else "")
    return f"{table.dataset} / {table.protocol}: {primary}, {table.test_samples} test samples"


def score(value: float | None, table: Table) -> str:
    """The primary metric as it is printed."""
    return shown(value, table.unit)


def body(table: Table, without: Collection[str] = ()) -> list[list[str]]:
    """Return the texts of each row, one for each of :func:`columns`; no two rows read the same.

    Args:
        without: columns that will not be shown.
    """
    names = system_labels(table.rows, {"recipe", "division"} - {*without})
    return [cells(row, name, table) for row, name in zip(table.rows, names, strict=True)]


def cells(row: Row, name: str, table: Table) -> list[str]:
    """Return one text for each of :func:`columns`; *name* is that of the system."""
    deviation = f" ± {score(row.deviation, table)}" if row.deviation is not None else ""
    interval = f"{score(row.interval[0], table)} - {score(row.interval[1], table)}" if row.interval else "-"
    place = str(row.rank) if row.rank is not None else "baseline" if row.baseline else "-"
    return [
        place,
        "-" if row.rank_interval is None else ranks(row.rank_interval),
        letters(row),
        name,
        row.recipe if not row.baseline else "",
        row.division if not row.baseline else "",
        str(len(row.seeds)),
        score(row.mean, table) + deviation,
        interval,
        "-" if row.p_above is None else p_value(row.p_above),
        *(shown(row.metrics.get(metric), table.units[metric]) for metric in beside(table)),
        " ".join(score(value, table) for value in row.scores) if len(row.scores) > 1 else "-",
        f"{row.params / 1e6:.2f} M" if row.params else "-",
        f"{row.train_seconds:.0f}" if row.train_seconds is not None else "-",
        "; ".join(reasons(row)),
    ]


def ranks(interval: tuple[int, int]) -> str:
    """The ranks that are not excluded."""
    low, high = interval
    return str(low) if low == high else f"{low} - {high}"


def letters(row: Row) -> str:
    """Letters one after another; none where there are more than those of the alphabet, which nobody would read."""
    return "".join(row.letters) if row.letters and all(len(letter) == 1 for letter in row.letters) else "-"


def remarks(table: Table) -> list[str]:
    """What is said below a table, a sentence or more each."""
    return [basis(table), *told(table)]


def basis(table: Table) -> str:
    """One sentence on what the ranks and intervals of a table rest on."""
    pooled = "what seeds do is taken from each system alone"
    if table.pool.df:
        pooled = f"what seeds do is pooled over systems with {table.pool.df:.0f} degrees of freedom"
    elif all(len(row.seeds) == 1 for row in table.rows):
        pooled = "no system has several seeds, so that nothing is known of what seeds do"
    return f"{table.comparisons} comparison{'s' * (table.comparisons != 1)}; {pooled}."


def told(table: Table) -> list[str]:
    """What plugins say of a table; of one that fails, this."""
    found: list[str] = []
    for origin, call in reversed([*registry().callers("rsbench_remarks")]):  # in pluggy's order
        try:
            with contained(origin, "rsbench_remarks", limit=False):
                found += (line if isinstance(line, str) else str(line) for line in call(table=table))
        except UserError as error:
            found.append(f"{error}.")
    return found


def closing(board: Board) -> list[str]:
    """What is said after the tables: the runs that failed, how to read a table, and where every record went."""
    lines = [
        f"Failed: {r.record['run_id']} ({error['stage']}): {error['message']}"
        for r in board.failures
        if (error := r.record["error"]) is not None
    ]
    return [*lines, NOTE if board.tables else "No finished runs to rank.", board.census.sentence()]


def reasons(row: Row) -> list[str]:
    """The flags and notes of a row, one text for each sanity check however many seeds failed it."""
    found: dict[str, list[str]] = {}
    for flag in (*row.flags, *row.notes):
        name, _, detail = flag.partition(": ")
        found.setdefault(name, []).append(detail)
    return [f"{name}: {'; '.join(details)}" if any(details) else name for name, details in found.items()]


NOTE: Final = (
    "Score: mean ± standard deviation over seeds. Interval: 95 %, over test samples and training seeds. Rank: 1 + the "
    "number of systems that are significantly better by t tests of all pairs over samples and seeds, with a moderated "
    "variance over seeds (Smyth 2004) and Holm's correction at 5 %, and no better than that of a row above; beside it "
    "the ranks that are not excluded, and letters, of which two systems share one where they are not told apart "
    "(Piepho 2004). Baselines are there to be beaten and have no rank; with a single seed, their interval is over test "
    "samples alone."
)
