"""What the page's templates are given: plain values and finished drawings, in the order in which they are shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from markupsafe import Markup

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.board import Board
from rsbench.leaderboard.machines import machine
from rsbench.leaderboard.render.cells import beside, letters, ranks, reasons, remarks, score
from rsbench.metrics.display import duration, factor, p_value, shown
from rsbench.records.store import LoadedRecord
from rsbench_html import budget, confusion, curves, details, forest, groups, pareto, reliability
from rsbench_html.samples import Sample, data_uri
from rsbench_html.series import Figure, Series, series_of, words
from rsbench_html.svg import rounded

UNDRAWN: Final = "its records hold what cannot be drawn"
T = TypeVar("T")


@dataclass(frozen=True)
class Cell:
    """A value of a row: its text, what it is sorted by, and the heading over it; *minor* where a page that is not wide
    leaves it out."""

    heading: str
    text: str
    by: float | None
    minor: bool = False


@dataclass(frozen=True)
class System:
    """A row of a table, and all that is shown of it.

    ``target`` is the part of the page that its values lead to; ``words`` what the filter looks into.
    """

    series: Series
    place: str
    kind: str
    tags: tuple[str, ...]
    by: list[str]
    notes: list[str]
    cells: list[Cell]
    forest: Markup
    target: str
    words: str
    figures: list[Figure]
    groups: tuple[str, list[groups.Group]]
    mistakes: list[str]
    said: list[str]
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class Section:
    """A table of the board."""

    id: str
    table: Table
    sign: str
    systems: list[System]
    headings: list[Cell]
    remarks: list[str]
    machines: list[str]
    figures: list[Figure]
    frontiers: list[Figure]
    samples: list[dict[str, Any]]
    names: Markup


def sections(board: Board, samples: Mapping[str, Sequence[Sample]], page: Path | None) -> list[Section]:
    """Return the sections of a board.

    Args:
        samples: protocol fingerprint -> sample predictions.
        page: the file that is to be written, for the links to records.
    """
    anchors = _anchors(board)
    return [
        _section(table, k, samples.get(table.fingerprint, ()), page, anchors) for k, table in enumerate(board.tables)
    ]


def _anchors(board: Board) -> dict[int, str]:
    """Record, by its ``id``, -> the id of its place on the page, unique and of harmless characters."""
    found: dict[int, str] = {}
    taken: dict[str, int] = {}
    for loaded in sorted(board.records, key=lambda r: r.record["run_id"]):
        base = "run-" + re.sub(r"[^A-Za-z0-9._-]+", "-", loaded.record["run_id"])
        anchor = base
        while anchor in taken:
            taken[base] += 1
            anchor = f"{base}-{taken[base]}"
        taken[anchor] = -1
        found[id(loaded.record)] = anchor
    return found


def _section(
    table: Table, number: int, samples: Sequence[Sample], page: Path | None, anchors: Mapping[int, str]
) -> Section:
    """A table's section; a row whose records hold what cannot be drawn stands there without them."""
    series = series_of(table, number)
    bare = [replace(one, records=()) for one in series]

    def alone(one: Series) -> Section:
        return _filled(replace(table, rows=[one.row]), number, [one], (), page, anchors)

    def whole(shown: Sequence[Series]) -> Section:
        return _filled(table, number, shown, samples, page, anchors)

    made = _attempt(whole, series)
    if made is None:
        made = _attempt(whole, [one if _attempt(alone, one) else less for one, less in zip(series, bare, strict=True)])
    return made or whole(bare)


def _attempt(fill: Callable[[T], Section], drawn: T) -> Section | None:
    try:
        return fill(drawn)
    except Exception:  # of a foreign record: anything
        return None


def _filled(
    table: Table,
    number: int,
    series: Sequence[Series],
    samples: Sequence[Sample],
    page: Path | None,
    anchors: Mapping[int, str],
) -> Section:
    machines = _machines(series)
    scale = forest.axis(table)
    shared = Counter(row.rank for row in table.rows if row.rank is not None)
    systems = [_system(one, table, shared, machines, scale, page, anchors) for one in series]
    by_group = groups.figure(series)
    return Section(
        id=f"t{number}",
        table=table,
        sign=factor(table.unit)[1],
        systems=systems,
        headings=systems[0].cells,
        remarks=remarks(table),
        machines=[f"{letter}: {name}" for name, letter in machines.items()] if len(machines) > 1 else [*machines],
        figures=[*curves.figures(series), *budget.figures(series), *([by_group] if by_group else [])],
        frontiers=pareto.figures(table, series),
        samples=[_sample(sample, series) for sample in samples],
        names=confusion.names(series),
    )


def _machines(series: Sequence[Series]) -> dict[str, str]:
    """Machine -> the letter by which it is named in a table of several."""
    names = sorted({name for one in series for r in one.facts if (name := machine(r)) is not None})
    return {name: chr(97 + k % 26) for k, name in enumerate(names)}


def _system(
    one: Series,
    table: Table,
    shared: Mapping[int, int],
    machines: Mapping[str, str],
    scale: Any,
    page: Path | None,
    anchors: Mapping[int, str],
) -> System:
    row = one.row
    tags = row.tags if one.records else ()
    kind = "baseline" if row.baseline else "ranked" if row.sound else "flagged"
    place = "\N{EN DASH}" if row.rank is None else f"{row.rank}{'=' * (shared[row.rank] > 1)}"
    records = [_record(loaded, table, page, anchors) for loaded in one.records]
    words = " ".join((one.label, row.recipe, row.division, table.task, table.dataset, table.protocol, *tags))
    return System(
        series=one,
        place=place,
        kind=kind,
        tags=tags,
        by=_by(row, table, tags),
        notes=reasons(row) + ([] if one.records else [UNDRAWN]),
        cells=_cells(one, table, machines),
        forest=forest.draw(one, table, scale),
        target=records[0]["id"] if len(records) == 1 else f"s-{one.id}",
        words=words.lower(),
        figures=_figures(one),
        groups=groups.groups(one.facts),
        mistakes=confusion.most_frequent(one),
        said=[*_said(one.facts[0]["by_group"])] if one.records else [],
        records=records,
    )


def _by(row: Row, table: Table, tags: Sequence[str]) -> list[str]:
    """How a row came about: recipe and division, which say nothing of baselines, seeds with their scores, and tags."""
    how = ["baseline"] if row.baseline else [row.recipe, row.division]
    seeds = f"{len(row.seeds)} seed{'s' if len(row.seeds) != 1 else ''}"
    if len(row.seeds) > 1:
        seeds += f": {', '.join(score(value, table) for value in row.scores)}"
    above = "" if row.p_above is None else f"p {p_value(row.p_above, '= ')} against the ranked row above"
    return [text for text in (*how, seeds, *(tag for tag in tags if tag != "baseline"), above) if text]


def _cells(one: Series, table: Table, machines: Mapping[str, str]) -> list[Cell]:
    row = one.row
    deviation = f" ± {score(row.deviation, table)}" if row.deviation is not None else ""
    interval = f"{score(row.interval[0], table)} \N{EN DASH} {score(row.interval[1], table)}" if row.interval else ""
    standing = f"{ranks(row.rank_interval)} {letters(row).strip('-')}".strip() if row.rank_interval else ""
    speeds = ((row.train_seconds, "Training", duration), (row.eval_samples_per_s, "Samples/s", rounded))
    others = beside(table)
    return [
        Cell(f"{words(table.primary)} {factor(table.unit)[1]}".strip(), score(row.mean, table) + deviation, row.mean),
        Cell("95 % CI", interval, row.interval[0] if row.interval else None),
        Cell("Ranks", standing, row.rank_interval[0] if row.rank_interval else None),
        *(_other(row, name, table, others[k + 1 :]) for k, name in enumerate(others)),
        Cell("Params", rounded(row.params) if row.params else "", row.params),
        *(Cell(heading, *_speed(value, told, one, machines)) for value, heading, told in speeds),
    ]


def _other(row: Row, name: str, table: Table, later: Sequence[str]) -> Cell:
    """A metric beside the score; minor is what differs from a later one in its last number alone, as BLEU-1 does."""
    value, stem = row.metrics.get(name), name.rstrip("0123456789")
    minor = stem != name and any(other.rstrip("0123456789") == stem for other in later)
    return Cell(words(name.removeprefix("accuracy_")), shown(value, table.units[name]), value, minor)


def _speed(
    value: float | None, told: Callable[[float], str], one: Series, machines: Mapping[str, str]
) -> tuple[str, float | None]:
    """A speed, with the letter of its machine above it where there are several; nothing where its seeds ran on
    several."""
    ran = {machine(record) for record in one.facts}
    if value is None or len(ran) != 1:
        return "", None
    letter = machines.get(ran.pop() or "", "") if len(machines) > 1 else ""
    return told(value) + (Markup("<sup>{}</sup>").format(letter) if letter else ""), value


def _figures(one: Series) -> list[Figure]:
    drawn = (
        ("Training loss (solid) and validation loss (dashed)", curves.losses(one)),
        ("Reliability: accuracy (%) by confidence", reliability.draw(one)),
        ("Confusion, % of each true class (rows)", confusion.draw(one)),
    )
    return [Figure(title, drawing) for title, drawing in drawn if drawing is not None]


def _said(by_group: Mapping[str, Any]) -> Iterator[str]:
    """What is kept of texts: how varied captions are, which answers were given."""
    captions, answers = by_group.get("captions"), by_group.get("answers")
    if captions:
        words = "?" if captions["mean_words"] is None else f"{captions['mean_words']:.1f}"
        yield (
            f"First seed: {captions['n']} captions, {captions['distinct']} of them distinct, {words} words on average, "
            f"{captions['empty']} empty."
        )
    if answers:
        yield f"Answers given (first seed): {', '.join(f'{answer} {n}' for answer, n in answers.items())}."


def _record(loaded: LoadedRecord, table: Table, page: Path | None, anchors: Mapping[int, str]) -> dict[str, Any]:
    record = loaded.record
    return {
        "id": anchors[id(record)],
        "run_id": record["run_id"],
        "seed": record["plan"]["seed"],
        "score": score(record["metrics"][table.primary]["value"], table),
        "command": record["plan"].get("command") or "",
        "link": details.link(loaded, page),
        "basis": details.basis(record),
        "metrics": details.metrics(record),
        "checks": [{"detail": "", **check} for check in record["checks"]],
        "facts": details.facts(record),
    }


def _sample(sample: Sample, series: Sequence[Series]) -> dict[str, Any]:
    by_row = {id(one.row): one for one in series}
    items = [
        {
            "question": item.question,
            "references": item.references,
            "predicted": [(by_row[id(p.row)], p.text, p.right) for p in item.predicted],
        }
        for item in sample.items
    ]
    return {"name": sample.name, "uri": data_uri(sample.image, sample.bands), "items": items}
