"""Confusion matrices: what a system takes for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from rsbench_html.series import Series
from rsbench_html.svg import drawing, element, number

LEVELS: Final = 8  # shades
NUMBERED: Final = 12  # classes up to which each cell has its number
SIDE: Final = 300  # pixels of the matrix
LABELS: Final = 112  # pixels for the names of classes


def counts(records: Sequence[dict[str, Any]]) -> np.ndarray | None:
    """Return int64 [K, K] summed over records, rows references; ``None`` where a record has no matrix."""
    found = [record["by_group"].get("confusion_matrix") for record in records]
    return np.array(found, dtype=np.int64).sum(axis=0) if found and all(found) else None


def shares(matrix: np.ndarray) -> np.ndarray:
    """Return each row as shares of its sum, [K, K]; rows without samples are 0."""
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def draw(one: Series) -> Markup | None:
    """Return the matrix of a system over its seeds in percent of each class, or ``None`` without one.

    The names of the classes are those of :func:`names`, which must be on the same page.
    """
    matrix = counts(one.facts)
    if matrix is None:
        return None
    part = shares(matrix)
    size = SIDE / len(part)
    place = f"translate({LABELS} {LABELS})"
    parts = [
        element("use", href=f"#{_stock(one, len(part))}"),
        element("g", *_shades(part), transform=f"{place} scale({size:.4g})"),
    ]
    if len(part) <= NUMBERED:
        parts += _numbers(part, size)
    label = f"confusion matrix of {one.label}, {len(part)} classes, rows are true"
    return drawing(LABELS + SIDE + 4, LABELS + SIDE + 4, *parts, label=label, class_="plot matrix")


def names(series: Sequence[Series]) -> Markup:
    """Return what the matrices of a table share: names of rows to the left, of columns above, turned, and a frame."""
    made: dict[str, Markup] = {}
    for one in series:
        matrix = counts(one.facts)
        if matrix is not None and (stock := _stock(one, len(matrix))) not in made:
            made[stock] = _names(stock, one.facts[0]["plan"]["dataset"]["classes"], SIDE / len(matrix))
    return Markup("").join(made.values())


def _stock(one: Series, classes: int) -> str:
    return f"{one.id.partition('r')[0]}names{classes}"


def _names(stock: str, classes: Sequence[str], size: float) -> Markup:
    height = min(size * 0.9, 10.5)
    rows, columns = [], []
    for k, name in enumerate(classes):
        text, middle = _cut(name), LABELS + (k + 0.5) * size
        rows.append(element("text", text, x=LABELS - 4, y=middle + height / 3))
        turned = f"translate({number(middle + height / 3)} {LABELS - 4}) rotate(-90)"
        columns.append(element("text", text, transform=turned))
    outline = element("path", class_="outline", d=f"M{LABELS} {LABELS}h{SIDE}v{SIDE}h-{SIDE}Z")
    style = f"font-size:{number(height)}px"
    return element("g", outline, element("g", *rows, class_="end"), *columns, id=stock, class_="names", style=style)


def _shades(part: np.ndarray) -> list[Markup]:
    """One path for each shade, of the diagonal and of the errors, in cells; up to 2 % there is none."""
    level = np.ceil(part * LEVELS - 0.02 * LEVELS).astype(int)
    drawn = []
    for kind, chosen in (("hit", np.eye(len(part), dtype=bool)), ("miss", ~np.eye(len(part), dtype=bool))):
        for k in range(1, LEVELS + 1):
            d = "".join(f"M{c} {r}h1v1h-1z" for r, c in np.argwhere((level == k) & chosen))
            if d:
                drawn.append(element("path", class_=kind, d=d, fill_opacity=f"{(k / LEVELS) ** 0.8:.2f}"))
    return drawn


def _cut(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "\N{HORIZONTAL ELLIPSIS}"


def _numbers(part: np.ndarray, size: float) -> list[Markup]:
    """Percent of each cell that is not about 0."""
    drawn: dict[str, list[Markup]] = {"cell": [], "cell dark": []}
    for r, c in np.argwhere(part >= 0.005):
        x, y = round(LABELS + (c + 0.5) * size), round(LABELS + (r + 0.5) * size + 3.5)
        kind = "cell dark" if part[r, c] > 0.5 else "cell"
        drawn[kind].append(element("text", f"{100 * part[r, c]:.0f}", x=x, y=y))
    return [element("g", *texts, class_=kind) for kind, texts in drawn.items() if texts]


def most_frequent(one: Series, most: int = 5) -> list[str]:
    """Return the most frequent mistakes as sentences."""
    matrix = counts(one.facts)
    if matrix is None:
        return []
    names, part = one.facts[0]["plan"]["dataset"]["classes"], shares(matrix)
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(k), len(matrix)) for k in order]
    return [f"{names[r]} taken for {names[c]}: {100 * part[r, c]:.1f} %" for r, c in pairs if wrong[r, c]]
