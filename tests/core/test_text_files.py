"""Text, JSON and tables: whatever was written is read back from any encoding, and any bytes are data or a sentence."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from rsbench import reading
from rsbench.errors import UserError
from rsbench.tasks.classification.score import outcome_of, references_of
from rsbench.tasks.entries import predictions_in
from rsbench.tasks.task import get_task

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
PLAIN = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
ENDS = st.sampled_from(["\n", "\r\n"])


@given(st.lists(VALUES, min_size=1, max_size=4), ENCODINGS, ENDS, st.booleans())
def test_json_of_any_encoding_one_value_or_many(values: list[Any], encoding: str, end: str, ascii_only: bool) -> None:
    text = end.join(json.dumps(value, ensure_ascii=ascii_only) for value in values)
    assert reading.json_values(reading.decoded(text.encode(encoding), "x"), "x") == values


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1)


@given(
    st.lists(CELLS, min_size=2, max_size=4, unique=True).filter(lambda names: not set(",;\t") & set("".join(names))),
    st.data(),
    st.sampled_from(",;\t"),
    ENCODINGS,
    ENDS,
)
def test_tables_as_spreadsheets_write_them(
    names: list[str], data: st.DataObject, comma: str, encoding: str, end: str
) -> None:
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), max_size=5))
    stream = io.StringIO()
    table = csv.writer(stream, delimiter=comma, lineterminator=end, quoting=csv.QUOTE_ALL)
    table.writerows([names, *rows])
    found = reading.csv_rows(reading.decoded(stream.getvalue().encode(encoding), "x"), "x")
    assert found == [dict(zip(names, row, strict=True)) for row in rows]


@given(st.binary(max_size=60) | st.text('{}[]":,\\u0dDeE.-+123null\n ', max_size=60).map(str.encode))
def test_any_bytes_are_predictions_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "p.json"
    for head in (b"", b"[", b'[{"id": ', b'[{"id": "a", "label": ', b"id,label\n", b"PAR1"):
        path.write_bytes(head + content)
        try:
            found = predictions_in(path, get_task("classification"))
            outcome_of(found, *references_of(found, None, found))
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017


LABELS = st.lists(st.integers(0, 20), min_size=1, max_size=30)


@given(LABELS, st.data())
def test_every_form_of_predictions_gives_the_same_score(
    tmp_path_factory: pytest.TempPathFactory, labels: list[int], data: st.DataObject
) -> None:
    """Numbers as text sort as numbers, ids may be numbers or text, and probabilities may be rounded."""
    classes = 21
    places = data.draw(st.integers(3, 6))
    rows = []
    for number, label in enumerate(labels):
        row = [round(0.2 / (classes - 1), places)] * classes
        row[label] = 0.8
        rows.append({"id": number, "label": label, "probabilities": row})
    folder: Path = tmp_path_factory.mktemp("forms")
    as_text = [{**row, "id": str(row["id"]), "label": str(row["label"])} for row in rows]
    (folder / "list").write_text(json.dumps(rows))
    (folder / "lines").write_text("\n".join(map(json.dumps, as_text)), encoding="utf-8-sig")
    (folder / "object").write_text(json.dumps({row["id"]: row["probabilities"] for row in as_text}))
    with (folder / "table").open("w", newline="", encoding="utf-16") as stream:
        table = csv.DictWriter(stream, ["id", "label", *(f"p{k}" for k in range(classes))])
        table.writeheader()
        table.writerows(
            {"id": r["id"], "label": r["label"]} | {f"p{k}": p for k, p in enumerate(r["probabilities"])} for r in rows
        )
    parquet.write_table(pa.Table.from_pylist(rows), folder / "parquet")
    for path in sorted(folder.iterdir()):
        found = predictions_in(path, get_task("classification"))
        truth, names = references_of(as_text, None, found)
        outcome = outcome_of(found, truth, names)
        assert names == [str(k) for k in range(classes)]
        assert outcome.predictions.labels.tolist() == outcome.references.tolist() == labels
        assert outcome.predictions.probabilities is not None
        assert abs(outcome.predictions.probabilities.sum(axis=1) - 1).max() < 1e-12
