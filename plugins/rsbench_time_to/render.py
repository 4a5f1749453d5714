"""Boards of time to accuracy, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from rsbench.leaderboard.recipe_labels import system_labels
from rsbench.leaderboard.render import sheet
from rsbench.leaderboard.render.sheet import Sheet, number
from rsbench.records.curve import factor
from rsbench_time_to.board import PaceBoard, PaceRow, PaceTable, Reach

TO: Final = " to "
LEFT: Final = ("system", "recipe", "division", "flags")
SECONDS: Final = "s"
SETUP: Final = "s with setup"
SAMPLES: Final = "samples"
DROPPED: Final = ("division", "recipe", "data wait", SAMPLES, SETUP)  # one after another, where the terminal is narrow
NOTE: Final = (
    "Seconds of training until the validation score first reached the target, to the epoch: means over the seeds that "
    "did, whose number is given where it is not all. Validation is not counted, and neither is what precedes the first "
    "step (opening the data, building and compiling the network, preflight, encoding): with setup it is. Samples: "
    "seen in training until then. Data wait: share of the seconds spent waiting for batches. Rows are comparable "
    "within a table alone."
)
EMPTY: Final = "No finished runs with targets."


def cells(row: PaceRow, score: str = "val_accuracy") -> dict[str, str]:
    """Return column -> text; the columns of a target name it, and are empty where no seed reached it.

    Args:
        row: of a table.
        score: of the table, which says how it is printed.
    """
    texts = {"system": row.system, "seeds": str(len(row.seeds))}
    for reach in row.reaches:
        to = f"{TO}{factor(score) * reach.target:.6g}"
        texts[SECONDS + to] = _seconds(reach, len(row.seeds))
        texts[SETUP + to] = _number(reach.with_setup)
        texts[SAMPLES + to] = "" if reach.samples is None else f"{reach.samples:,.0f}"
    return texts | {
        "epochs": f"{row.epochs:.4g}",
        "last score": f"{factor(score) * row.score:{'.2f' if factor(score) > 1 else '.4g'}}",
        "data wait": "" if row.data_wait is None else f"{100 * row.data_wait:.1f} %",
        "recipe": row.recipe,
        "division": row.division,
        "flags": "; ".join(row.flags),
    }


def _seconds(reach: Reach, seeds: int) -> str:
    """Seconds, and how many seeds they are of where it is not all."""
    if not reach.reached:
        return ""
    count = f" ({reach.reached} of {seeds})" if reach.reached < seeds else ""
    return f"{_number(reach.seconds) or '-'}{count}"


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def drawn(table: PaceTable, dropped: Sequence[str] = (), lines: Sequence[str] = ()) -> Sheet:
    """Return a table without the columns that are *dropped* or in which nothing is known; those of seconds stay."""
    labels = system_labels(table.rows, {"recipe", "division"} - {*dropped})
    rows = [cells(row, table.score) | {"system": label} for row, label in zip(table.rows, labels, strict=True)]
    kinds = {name: name.partition(TO)[0] for name in rows[0]}
    names = [name for name, kind in kinds.items() if kind == SECONDS or any(texts[name] for texts in rows)]
    names = [name for name in names if kinds[name] not in dropped]
    return Sheet(table.title, names, [[texts[name] for name in names] for texts in rows], LEFT, lines)


def terminal(board: PaceBoard, width: int | None = None) -> str:
    """Return the board as text with tables drawn by rich; *width* columns, the terminal's if ``None``."""

    def sheets(room: int) -> list[Sheet]:
        return [sheet.fitting(partial(drawn, table), DROPPED, room) for table in board.tables]

    return sheet.terminal(sheets, closing(board), width)


def markdown(board: PaceBoard) -> str:
    """Return the board as Markdown."""
    sheets = [drawn(t, lines=[f"Protocol fingerprint `{t.fingerprint[:16]}`."]) for t in board.tables]
    return sheet.markdown("Time to accuracy", sheets, closing(board))


def closing(board: PaceBoard) -> str:
    """Return what follows the tables."""
    return f"{NOTE if board.tables else EMPTY}\n\n{board.census.sentence()}"


def flat(board: PaceBoard) -> list[dict[str, Any]]:
    """Return one flat mapping for each row and target; scores as records have them, unknown values ``None``."""
    return [
        {
            "task": table.task,
            "dataset": table.dataset,
            "protocol": table.protocol,
            "fingerprint": table.fingerprint,
            "machine": table.machine,
            "system": row.system,
            "recipe": row.recipe,
            "division": row.division,
            "score": table.score,
            "target": reach.target,
            "seeds": len(row.seeds),
            "reached": reach.reached,
            "seconds": reach.seconds,
            "seconds_with_setup": reach.with_setup,
            "samples": reach.samples,
            "epochs": row.epochs,
            "last_score": row.score,
            "data_wait_fraction": row.data_wait,
            "flags": "; ".join(row.flags),
            "run_ids": " ".join(row.run_ids),
        }
        for table in board.tables
        for row in table.rows
        for reach in row.reaches
    ]


RENDER: Final = sheet.formats(terminal, markdown, flat)
