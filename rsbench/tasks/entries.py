"""Predictions and references as people have them, one form for all: a list of entries that each have an ``id``.

Read by content, whatever a file is called: JSON, JSON lines, CSV and parquet.  As JSON a list of objects, an object
``{id: value or object}``, results of COCO ``[{"image_id", "caption"}]`` and its annotations
``{"images", "annotations": [{"image_id", "caption"}]}``.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rsbench import reading
from rsbench.errors import UserError
from rsbench.tasks.tables import batches

if TYPE_CHECKING:
    from rsbench.tasks.task import Task

LISTS: Final = ("probabilities", "logits", "captions")
MOST_CELLS: Final = 1 << 26
_INTEGRAL: Final = re.compile(r"([+-]?[0-9]+)\.0+")


def identity(value: Any) -> str | None:
    """Return the text that an id, a label or an answer stands for, or ``None`` for what is no text or whole number.

    7, 7.0, "7", " 7 " and "7.0" are the same, as are the two ways in which Unicode writes "é".
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = unicodedata.normalize("NFC", str(value)).strip()
    whole = _INTEGRAL.fullmatch(text)
    return whole[1] if whole else text


def predictions_in(path: Path, task: Task) -> list[dict[str, Any]]:
    """Return the entries of a file of predictions; each id is there once.

    Raises:
        UserError: the file cannot be read, or an id is missing or occurs twice; the sentence says where.
    """
    return _once(_entries(path, "predictions", task), "predictions")


def references_in(path: Path, task: Task) -> list[dict[str, Any]]:
    """Return the entries of a file of references; each id is there once.

    Entries of one sample may become one (:meth:`rsbench.tasks.task.Task.merged`).

    Raises:
        UserError: the file cannot be read, or an id is missing or occurs twice; the sentence says where.
    """
    entries = _entries(path, "references", task)
    return _once(task.merged(entries), "references")


def _entries(path: Path, what: str, task: Task) -> list[dict[str, Any]]:
    where = f"The {what} {path}"
    content = reading.content_of(path, where)
    kind, rows = _parquet(content, where) if content.startswith(b"PAR1") else _text(content, where, task)
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(
            f"{where} must be a list of objects that each have an 'id', as JSON, JSON lines, CSV with a line of "
            "headings, or parquet."
        )
    found = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(_entry(row, task))
        except ValueError as error:
            raise UserError(f"{where} have {error} in {kind} {number}; each must have one.") from None
    return found


def _parquet(content: bytes, where: str) -> tuple[str, list[Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        rows: list[Any] = []
        if file.metadata.num_rows * file.metadata.num_columns > MOST_CELLS:
            raise UserError(f"{where} cannot be read: {file.metadata.num_rows:,} rows of this size are too many.")
        for batch in batches(file, len(content)):
            rows += batch.to_pylist()
        return "row", rows
    except (OSError, ValueError, ArithmeticError, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{where} cannot be read as parquet: {said}.") from None


def _text(content: bytes, where: str, task: Task) -> tuple[str, list[Any]]:
    text = reading.decoded(content, where)
    if not text.lstrip().startswith(("[", "{")):
        return "row", [_cells(row, where, task) for row in reading.csv_rows(text, where)]
    values = reading.json_values(text, where)
    return "entry", _listed(values[0], task) if len(values) == 1 else values


def _cells(row: Mapping[str, str], where: str, task: Task) -> dict[str, Any]:
    """A row of CSV: lists are written as JSON, and an empty cell is no value, unless it is what was said."""
    found: dict[str, Any] = {}
    for name, cell in row.items():
        if name in LISTS and cell.lstrip().startswith("["):
            found[name] = next(iter(reading.json_values(cell, f"{where}, column '{name}',")))
        elif cell.strip() or (name == task.value_field and not task.probabilistic):
            found[name] = cell
    return found


def _listed(value: Any, task: Task) -> list[Any]:
    """Return the entries of a JSON document."""
    if not isinstance(value, dict):
        return value if isinstance(value, list) else []
    if isinstance(value.get("annotations"), list):
        return value["annotations"]
    if not {task.value_field, *LISTS}.isdisjoint(value) and any(key in value for key in task.id_fields):
        return [value]
    return [_named(name, inner, task) for name, inner in value.items()]


def _named(name: str, value: Any, task: Task) -> dict[str, Any]:
    """Return the entry of one pair of an object by id."""
    if isinstance(value, dict):
        return {**{k: v for k, v in value.items() if k not in task.id_fields}, "id": name}
    fields = task.listed(value) if isinstance(value, list) else {task.value_field: value}
    return {"id": name, **fields}


def _entry(row: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return an entry under its id; what is null is not there, and columns p0, p1, .. are its probabilities.

    Raises:
        ValueError: it has no id.
    """
    entry = {name: value for name, value in row.items() if value is not None}
    key = next((key for key in task.id_fields if key in entry), None)
    if key is None:
        wanted = " or ".join(f"'{key}'" for key in sorted(task.id_fields, reverse=True))
        raise ValueError(f"no {wanted}")
    name = identity(entry[key])
    if not name:
        raise ValueError(f"the '{key}' {repr(entry[key])[:80]}, which is no text or whole number,")
    if "p0" in entry and "probabilities" not in entry:
        entry["probabilities"] = list(_columns(entry))
    return entry | {"id": name}


def _columns(entry: Mapping[str, Any]) -> Iterator[Any]:
    for k in itertools.count():
        if f"p{k}" not in entry:
            return
        yield entry[f"p{k}"]


def _once(entries: Sequence[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    seen: set[str] = set()
    twice = [entry["id"] for entry in entries if entry["id"] in seen or seen.add(entry["id"])]  # type: ignore[func-returns-value]
    if twice:
        raise UserError(f"The {what} hold id '{twice[0]}' twice{and_more(twice)}.")
    return list(entries)


def and_more(names: Sequence[str]) -> str:
    """Return how many names there are beside the first, in brackets."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def matched(entries: Sequence[Mapping[str, Any]], references: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return id -> prediction, in the order of the references.

    Raises:
        UserError: a reference has no prediction, or a prediction no reference.
    """
    by_id = {e["id"]: e for e in entries}
    found = {name: by_id[key] for name in references if (key := identity(name)) in by_id}
    used = {identity(name) for name in found}
    unknown = [name for name in by_id if name not in used]
    if missing := [name for name in references if name not in found]:
        others = f", while '{unknown[0]}'{and_more(unknown)} has no reference" if unknown else ""
        raise UserError(f"There is no prediction for '{missing[0]}'{and_more(missing)}{others}.")
    if unknown:
        raise UserError(f"Prediction '{unknown[0]}'{and_more(unknown)} has no reference.")
    return found
