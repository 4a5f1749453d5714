"""Configurations whose predictions are bit-identical: an option had no effect, or a result was copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rsbench.recipes import ADDED_FIELDS
from rsbench.records.store import LoadedRecord
from rsbench.specs import RECIPE_DESCRIPTION

if TYPE_CHECKING:
    from rsbench.leaderboard.aggregate import Row


def flag_identical(rows: Sequence[Row]) -> None:
    """Flag each row of which a run predicted exactly what an earlier one did, and say what set them apart."""
    seen: dict[str, tuple[LoadedRecord, Row]] = {}
    for row in rows:
        for loaded, sha in zip(row.records, row.predictions, strict=True):
            first, other = seen.setdefault(sha, (loaded, row)) if sha else (loaded, row)
            if other is not row and not row.baseline:
                row.flags.append(_sentence(first.record["plan"], other, loaded.record["plan"]))
                break


def _sentence(first: Mapping[str, Any], other: Row, plan: Mapping[str, Any]) -> str:
    same = f"predictions identical to those of {other.system} ({other.recipe})"
    changed = list(_changes(first, plan))
    return f"{same}: {', '.join(changed)} changed nothing" if changed else same


def _changes(first: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``option=value`` for each option of model or recipe in which *plan* differs from *first*."""
    if first["model"]["name"] != plan["model"]["name"]:
        return
    for a, b, aside in (
        (first["model"].get("options", {}), plan["model"].get("options", {}), ()),
        (ADDED_FIELDS | first["recipe"], ADDED_FIELDS | plan["recipe"], RECIPE_DESCRIPTION),
    ):
        for name in sorted({*a, *b}):
            if a.get(name) != b.get(name) and name not in aside:
                yield f"{name}={b.get(name)}"
