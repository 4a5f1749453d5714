"""Reliability diagrams: how often a system is right when it is so sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rsbench_html.series import Series
from rsbench_html.svg import Frame, Scale, color_class, element, number

TALL = 26  # pixels of the histogram below


@dataclass(frozen=True)
class Bin:
    """Samples of all seeds whose confidence lies in (low, high]."""

    low: float
    high: float
    count: int
    accuracy: float
    confidence: float


def bins(records: Sequence[dict[str, Any]]) -> list[Bin]:
    """Return the filled bins of some records together; none where a record has none."""
    tables = [record["by_group"].get("reliability") for record in records]
    if not tables or not all(tables):
        return []
    made = []
    for parts in zip(*tables, strict=True):
        full = [p for p in parts if p["count"]]
        n = sum(p["count"] for p in full)
        if n:
            accuracy, confidence = (sum(p["count"] * p[k] for p in full) / n for k in ("accuracy", "confidence"))
            made.append(Bin(parts[0]["low"], parts[0]["high"], n, accuracy, confidence))
    return made


def draw(one: Series) -> Markup | None:
    """Return the diagram of a system over its seeds, or ``None`` without probabilities."""
    found = bins(one.facts)
    if not found:
        return None
    frame = Frame(height=270, bottom=38 + TALL + 6)
    x, y = Scale(0, 100, *frame.x), Scale(0, 100, *frame.y)
    floor = frame.height - 38
    most = max(b.count for b in found)
    parts = Frame(height=270).axes(x, Scale(0, 100, *frame.y), "confidence (%)")
    color = color_class(one.color)
    bars = [_box(x(100 * b.low), x(100 * b.high), y(100 * b.accuracy), y(0)) for b in found]
    share = [_box(x(100 * b.low), x(100 * b.high), floor - TALL * b.count / most, floor) for b in found]
    dots = [f"M{number(x(100 * b.confidence))} {number(y(100 * b.accuracy))}h0" for b in found]
    parts += [
        element("path", class_=f"fill {color}", d="".join(bars)),
        element("path", class_="ideal", d=f"M{number(x(0))} {number(y(0))}L{number(x(100))} {number(y(100))}"),
        element("path", class_=f"dots {color}", d="".join(dots)),
        element("path", class_="share", d="".join(share)),
    ]
    n = sum(b.count for b in found)
    return frame.drawing(parts, f"accuracy of {one.label} by confidence, {n} predictions in {len(found)} bins")


def _box(left: float, right: float, top: float, bottom: float) -> str:
    """A bar with a gap of a pixel to the next one."""
    return f"M{number(left + 0.5)} {number(bottom)}V{number(top)}H{number(right - 0.5)}V{number(bottom)}Z"
