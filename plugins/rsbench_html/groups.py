"""Figures by group of samples: classes, or types of question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from rsbench.leaderboard.installed import parts_of
from rsbench_html.series import Figure, Series
from rsbench_html.svg import Frame, Scale, element, mark, number, short

STEP: Final = 19  # pixels of a group


@dataclass(frozen=True)
class Group:
    """Figures of one group, means over seeds; shares, ``None`` where they are not defined."""

    name: str
    n: int
    accuracy: float | None
    precision: float | None = None
    f1: float | None = None


def groups(records: Sequence[dict[str, Any]]) -> tuple[str, list[Group]]:
    """Return what the groups are, such as ``class``, and the figures of each; empty where the task keeps none."""
    parts = parts_of(records[0]) if records else None
    if parts is None or not all(parts.key in record["by_group"] for record in records):
        return "", []
    tables = [record["by_group"][parts.key] for record in records]
    return parts.key, [_group(name, [t[name] for t in tables]) for name in tables[0]]


def _group(name: str, entries: Sequence[dict[str, Any]]) -> Group:
    return Group(name, entries[0]["n"], *(_mean(entries, key) for key in ("accuracy", "precision", "f1")))


def _mean(entries: Sequence[dict[str, Any]], key: str) -> float | None:
    known = [e[key] for e in entries if e.get(key) is not None]
    return sum(known) / len(known) if known else None


def figure(series: Sequence[Series]) -> Figure | None:
    """Return a plot with a line for each group and a mark for each ranked system that has a color, or
    for flagged ones where none is ranked."""
    colored = [one for one in series if one.color is not None]
    drawn = [one for one in colored if one.row.sound] or colored
    found = [entry for one in drawn if (entry := (one, *groups(one.facts)))[1]]
    if not found:
        return None
    key, names = found[0][1], [g.name for g in found[0][2]]
    left = min(max(6.7 * max(map(len, names)) + 12, 40), 150)
    frame = Frame(height=len(names) * STEP + 32, left=left, top=4, bottom=28)
    known = [100 * g.accuracy for _, _, made in found for g in made if g.accuracy is not None]
    x = Scale.over([*known, 100.0] if max(known, default=0) > 90 else known or [0.0], *frame.x, room=0.03)
    parts = _lines(frame, x, names)
    for one, _, made in reversed(found):
        accuracy = {g.name: g.accuracy for g in made}
        for k, name in enumerate(names):
            value = accuracy.get(name)
            if value is not None:
                title = f"{one.label}, {name}: {100 * value:.1f} %"
                parts.append(mark(one.color, x(100 * value), _height(frame, k), title=title, series=one.id))
    kind = key.replace("_", " ")
    label = f"accuracy by {kind} of {len(found)} systems"
    return Figure(f"Accuracy by {kind} (%)", frame.drawing(parts, label))


def _height(frame: Frame, k: int) -> float:
    return frame.top + (k + 0.5) * STEP


def _lines(frame: Frame, x: Scale, names: Sequence[str]) -> list[Markup]:
    left, right = frame.x
    bottom = frame.height - frame.bottom
    ticks = [t for t in x.ticks() if t <= 100]
    grid = [f"M{number(x(t))} {number(bottom)}V{number(frame.top)}" for t in ticks]
    grid += [f"M{number(left)} {number(_height(frame, k))}H{number(right)}" for k in range(len(names))]
    parts = [element("path", class_="grid", d="".join(grid))]
    parts.append(element("g", *(element("text", short(t), x=x(t), y=bottom + 14) for t in ticks), class_="mid"))
    texts = [element("text", name, x=left - 8, y=_height(frame, k) + 3.5) for k, name in enumerate(names)]
    return [*parts, element("g", *texts, class_="end")]
