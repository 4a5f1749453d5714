"""Lists of images with labels, captions or questions: CSV, JSON, JSON lines, Parquet, Karpathy's ``dataset.json``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, Final

from rsbench import reading
from rsbench.errors import UserError, first_of
from rsbench.tasks.text import words
from rsbench_folder.splits import part_of

Row = Mapping[str, Any]

IMAGE: Final = ("image", "file_name", "filename", "file", "path", "image_path", "filepath", "image_name", "img")
LABEL: Final = ("label", "class", "category", "target", "class_name", "label_name")
SPLIT: Final = ("split", "subset", "part", "partition")
CAPTION: Final = ("captions", "caption", "sentences", "sentence", "text", "raw")
QUESTION: Final = ("question",)
ANSWER: Final = ("answer",)
TYPE: Final = ("type", "question_type", "kind")
QUESTION_ID: Final = ("question_id", "id")
SAYING: Final = {"vqa": (QUESTION, ANSWER), "classification": (LABEL,), "captioning": (CAPTION,)}
EXAMPLES: Final = {
    "classification": "image and label",
    "captioning": "image and caption",
    "vqa": "image, question and answer",
}
KINDS: Final = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")


class NothingSaid(UserError):
    """A list that says nothing of images."""


@dataclass(frozen=True)
class Entry:
    """One row: the image as it is named, the folder that the name may be relative to, its split and all it says."""

    image: str
    base: str = ""
    part: str = ""
    row: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Columns:
    """Which task a list is for, and the names that its columns have there."""

    task: str
    image: str
    split: str | None
    said: tuple[str, ...]
    kind: str | None
    id: str | None


@dataclass(frozen=True)
class Gathered:
    """Image -> its first row, and what is said of it."""

    first: dict[str, Entry]
    said: dict[str, Any]


def is_list(name: str) -> bool:
    """Whether a file may be a list, by its name."""
    return name.lower().endswith(KINDS)


def kind_of(name: str) -> str:
    """Return the ending of a list.

    Raises:
        UserError: it is none that can be read.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in KINDS:
        raise UserError(f"'{name}' is no folder, no zip archive and no list: {', '.join(KINDS)} can be read.")
    return ending


def rows_of(content: bytes, name: str, where: str) -> list[Row]:
    """Return the rows of a list.

    Raises:
        UserError: it cannot be read, or holds something else than rows.
    """
    kind = kind_of(name)
    if kind == ".parquet":
        return _parquet(content, where)
    text = reading.decoded(content, where)
    if kind in (".csv", ".tsv"):
        return list(reading.csv_rows(text, where))
    values = reading.json_values(text, where)
    if len(values) == 1 and isinstance(values[0], dict) and isinstance(values[0].get("images"), list):
        values = [_flat(entry) for entry in values[0]["images"]]
    elif len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if odd := next((k for k, value in enumerate(values, start=1) if not isinstance(value, dict)), None):
        raise UserError(f"{where} has an entry that is no object, number {odd}.")
    return values


def _parquet(content: bytes, where: str) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{where} cannot be read as Parquet ({' '.join(str(error).split())}).") from None
    if embedded := [f.name for f in table.schema if pa.types.is_struct(f.type) or pa.types.is_binary(f.type)]:
        raise UserError(f"{where} holds {first_of(embedded)} as bytes: a list of paths is needed, with image files.")
    rows: list[Row] = table.to_pylist()
    return rows


def _flat(entry: Any) -> Any:
    """An image of Karpathy's ``dataset.json``: its file in the folder ``filepath``, its sentences as text."""
    if not isinstance(entry, dict):
        return entry
    found = dict(entry)
    if isinstance(entry.get("filename"), str) and isinstance(folder := found.pop("filepath", None), str):
        found["filename"] = f"{folder}/{entry['filename']}"
    if isinstance(entry.get("sentences"), list):
        found["sentences"] = [s.get("raw") if isinstance(s, dict) else s for s in entry["sentences"]]
    return found


def columns_of(rows: Sequence[Row], where: str, task: str | None) -> Columns:
    """Return what the columns of a list are, by their names in any case.

    Args:
        task: that it is to be for; by default the first of VQA, classification and captioning that it has columns for.

    Raises:
        NothingSaid: it has no column of images, or nothing else that is known.
        UserError: it has nothing for the task, or two columns whose names differ in their case alone.
    """
    names: dict[str, dict[str, None]] = {}  # of all rows: a column may begin late in JSON lines
    for key in dict.fromkeys(key for row in rows for key in row):
        names.setdefault(str(key).strip().lower(), {})[str(key)] = None

    def named(known: Iterable[str]) -> str | None:
        found = next((names[name] for name in known if name in names), {})
        if len(found) > 1:
            raise UserError(f"{where} has the columns {' and '.join(map(repr, found))}: leave one of them.")
        return next(iter(found), None)

    image = named(IMAGE)
    if image is None:
        have = first_of(sorted(names), 8) or "nothing"
        raise NothingSaid(f"{where} has no column of images, called {first_of(IMAGE, 5)}: it has {have}.")
    for name in (task,) if task else SAYING:
        said = [named(known) for known in SAYING[name]]
        if all(said):
            return Columns(name, image, named(SPLIT), tuple(map(str, said)), named(TYPE), named(QUESTION_ID))
    wanted = EXAMPLES[task] if task else "label, caption, or question and answer"
    raise NothingSaid(f"{where} has no column for {wanted} beside '{image}': it has {first_of(sorted(names), 8)}.")


def entries(rows: Sequence[Row], columns: Columns, where: str, *, base: str = "", part: str = "") -> Iterator[Entry]:
    """Yield the rows of a list as entries.

    Args:
        rows: of the list.
        columns: which of them hold what.
        where: begins the sentences on what is wrong.
        base: folder that images may be relative to.
        part: split of rows that name none.

    Raises:
        UserError: a row names no image, or an unknown split.
    """
    for number, row in enumerate(rows, start=1):
        place = f"{where}, row {number},"
        image = text_of(row.get(columns.image))
        if not image:
            raise UserError(f"{place} names no image.")
        said = part_of(text_of(row.get(columns.split)) if columns.split else "", place) or part
        chosen: Row = {
            "said": [row.get(name) for name in columns.said],
            "kind": row.get(columns.kind) if columns.kind else None,
            "id": row.get(columns.id) if columns.id else None,
        }
        yield Entry(image, base, said, chosen)


def gathered(found: Iterable[tuple[str, Entry]], task: str, root: str) -> Gathered:
    """Put together what is said of each image.

    Returns:
        A label, a list of sentences, or a list of (question, answer, type, id) for each image.

    Raises:
        UserError: an image is in two splits, or has no label, sentence or answer; or two labels.
    """
    first: dict[str, Entry] = {}
    said: dict[str, Any] = {}
    missing: list[str] = []
    for name, entry in found:
        known = first.setdefault(name, entry)
        if known.part != entry.part:
            one, other = (part or "none" for part in (known.part, entry.part))
            raise UserError(f"{entry.image} of {root} is in two splits, {one} and {other}.")
        if task == "classification" and name in said:
            raise UserError(f"{entry.image} of {root} is listed twice.")
        values = _SAID[task](entry.row)
        if not values:
            missing.append(entry.image)
        said[name] = values if task == "classification" else said.get(name, []) + values
    if missing:
        what = {"classification": "label", "captioning": "sentence with words in it", "vqa": "question or no answer"}
        count = f" ({len(missing):,} rows)" if missing[1:] else ""
        raise UserError(f"In {root} there is no {what[task]} for {first_of(missing)}{count}.")
    return Gathered(first, said)


def _label(row: Row) -> str:
    return text_of(row["said"][0])


def _sentences(row: Row) -> list[str]:
    value = row["said"][0]
    texts = [text_of(v) for v in value] if isinstance(value, list) else [text_of(value)]
    return texts if texts and all(words(text) for text in texts) else []


def _question(row: Row) -> list[tuple[str, str, str, str]]:
    question, answer = (text_of(value) for value in row["said"])
    kind = text_of(row["kind"]) or "question"
    return [(question, answer, kind, text_of(row["id"]))] if question and answer else []


_SAID: Final = {"classification": _label, "captioning": _sentences, "vqa": _question}


def text_of(value: Any) -> str:
    """Return a cell as text: whole numbers without a point, nothing for what is missing."""
    if value is None or value != value:  # NaN, which pandas writes for nothing
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
