"""Predictions and references as people have them: equal content in every form scores alike, and nothing tears."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from rsbench.errors import UserError
from rsbench.metrics.contract import MetricContext
from rsbench.tasks.arrays import ArrayTask
from rsbench.tasks.entries import identity, predictions_in, references_in
from rsbench.tasks.scoring import score_files
from rsbench.tasks.task import get_task

Row = dict[str, Any]


def as_csv(rows: Sequence[Row], delimiter: str = ",", end: str = "\n") -> str:
    """Lists are columns p0, p1, .."""
    flat = [{k: v for k, v in r.items() if k != "probabilities"} for r in rows]
    for row, found in zip(rows, flat, strict=True):
        found |= {f"p{k}": p for k, p in enumerate(row.get("probabilities", ()))}
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(flat[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(flat)
    return stream.getvalue()


def as_parquet(rows: Sequence[Row]) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), stream)
    return stream.getvalue()


def quoted_lists(rows: Sequence[Row]) -> str:
    """As pandas writes lists into CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


FORMS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "json": lambda rows: json.dumps(rows).encode(),
    "json-utf-8-sig": lambda rows: json.dumps(rows, ensure_ascii=False).encode("utf-8-sig"),
    "json-utf-16": lambda rows: json.dumps(rows, ensure_ascii=False).encode("utf-16"),
    "json-crlf": lambda rows: json.dumps(rows, indent=1).replace("\n", "\r\n").encode(),
    "by-id": lambda rows: json.dumps({str(r["id"]): {k: v for k, v in r.items() if k != "id"} for r in rows}).encode(),
    "lines": lambda rows: "\n".join(map(json.dumps, rows)).encode(),
    "lines-bom-crlf": lambda rows: "\r\n".join([*map(json.dumps, rows), "", ""]).encode("utf-8-sig"),
    "indented-one-after-another": lambda rows: "\n".join(json.dumps(r, indent=2) for r in rows).encode(),
    "csv": lambda rows: as_csv(rows).encode(),
    "csv-of-excel": lambda rows: as_csv(rows, ";", "\r\n").encode("utf-8-sig"),
    "csv-utf-16-tabs": lambda rows: as_csv(rows, "\t", "\r\n").encode("utf-16"),
    "csv-lists": lambda rows: quoted_lists(rows).encode(),
    "parquet": as_parquet,
    "parquet-floats": lambda rows: as_parquet(
        [{k: float(v) if isinstance(v, int) else v for k, v in r.items()} for r in rows]
    ),
}
PLACES = ("Zürich", "a b", "x,y", 'the "old" port', "3/4", "São Paulo", "naïve; or not")


def scored(folder: Path, task: str, predictions: bytes, references: bytes, **more: Any) -> Row:
    (folder / "p").write_bytes(predictions)
    (folder / "r").write_bytes(references)
    return score_files(task, folder / "p", folder / "r", **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


@st.composite
def classified(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Probabilities of thousandths and labels, which are numbers or names."""
    numbers = draw(st.booleans())
    classes: list[Any] = list(range(12)) if numbers else sorted(PLACES)
    key = (
        st.integers(-5, 10**12) if numbers else st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1)
    )
    ids = draw(st.lists(key, unique_by=lambda v: identity(v) or "", min_size=len(classes), max_size=16))
    predictions, references = [], []
    for k, name in enumerate(ids):
        cuts = sorted(draw(st.lists(st.integers(0, 1000), min_size=len(classes) - 1, max_size=len(classes) - 1)))
        parts = [high - low for low, high in zip([0, *cuts], [*cuts, 1000], strict=True)]
        predictions.append({"id": name, "probabilities": [p / 1000 for p in parts]})
        references.append({"id": name, "label": classes[k % len(classes)]})
    return predictions, references


@settings(max_examples=4, deadline=None)
@given(classified())
def test_equal_content_in_every_form_scores_alike(folder: Path, content: tuple[list[Row], list[Row]]) -> None:
    predictions, references = content
    expected = scored(folder, "classification", FORMS["json"](predictions), FORMS["json"](references))
    truth = [e["label"] for e in references]
    best = [max(range(len(e["probabilities"])), key=e["probabilities"].__getitem__) for e in predictions]
    names = expected["classes"]
    assert expected["metrics"]["overall_accuracy"]["value"] == sum(
        names[k] == str(label) for k, label in zip(best, truth, strict=True)
    ) / len(truth)
    for name, write in FORMS.items():
        assert scored(folder, "classification", write(predictions), write(references)) == expected, name


@pytest.mark.parametrize("form", FORMS)
def test_answers_and_captions_in_every_form(folder: Path, form: str) -> None:
    write = FORMS[form]
    said = [
        {"id": 7, "answer": "Yes . "},
        {"id": 10, "answer": "no?"},
        {"id": 2, "answer": 12},
        {"id": 3, "answer": ""},
    ]
    kinds = ("presence", "comp", "count", "count")
    true = [
        {"id": e["id"], "image": k // 2, "type": kind, "answer": answer}
        for k, (e, kind, answer) in enumerate(zip(said, kinds, (" yes", "NO . ", "12", "0"), strict=True))
    ]
    if form.startswith("parquet"):  # one type a column
        said, true = ([e | {"answer": str(e["answer"])} for e in rows] for rows in (said, true))
    found = scored(folder, "vqa", write(said), write(true))
    assert (found["metrics"]["OA"]["value"], found["metrics"]["unparsable_rate"]["value"]) == (3 / 4, 1 / 4)
    assert found["metrics"]["OA"]["clusters"] == 2
    captions = [{"id": 1, "caption": "a café, near a road"}, {"id": 2, "caption": ""}]
    sentences = [{"id": 1, "captions": ["a café near a road", "x"]}, {"id": 2, "captions": ["two boats"]}]
    if form == "csv-lists":
        sentences = [e | {"captions": json.dumps(e["captions"])} for e in sentences]
    elif form.startswith("csv"):  # a sentence a line
        sentences = [{"id": e["id"], "caption": text} for e in sentences for text in e["captions"]]
    found = scored(folder, "captioning", write(captions), write(sentences))
    assert found["per_image"]["1"]["BLEU-1"] == pytest.approx(1, abs=1e-6)
    assert found["per_image"]["2"]["BLEU-1"] == pytest.approx(0, abs=1e-6)


def test_coco_results_and_annotations(folder: Path) -> None:
    """A result's own id is not its image's; references of an image are as many annotations."""
    results = [{"image_id": 1, "id": 37, "caption": "a plane"}, {"image_id": 2, "id": 1, "caption": "two boats"}]
    said = [(2, "two boats"), (1, "a plane"), (1, "one plane on a runway")]
    truth = {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": [{"id": k, "image_id": image, "caption": text} for k, (image, text) in enumerate(said)],
    }
    found = scored(folder, "captioning", json.dumps(results).encode(), json.dumps(truth).encode())
    plain = [{"id": 1, "captions": ["a plane", "one plane on a runway"]}, {"id": 2, "captions": ["two boats"]}]
    again = [{"id": e["image_id"], "caption": e["caption"]} for e in results]
    assert found["metrics"]["BLEU-1"]["value"] == pytest.approx(1, abs=1e-6)
    other = scored(folder, "captioning", json.dumps(again).encode(), json.dumps(plain).encode())
    assert {name: e["value"] for name, e in found["metrics"].items()} == pytest.approx(
        {name: e["value"] for name, e in other["metrics"].items()}
    )
    by_image = {"1": ["a plane"], "2": [{"caption": "two boats"}]}
    (folder / "p").write_text(json.dumps(by_image))
    assert [e["captions"] for e in predictions_in(folder / "p", get_task("captioning"))] == [["a plane"], ["two boats"]]


def test_values_by_id(folder: Path) -> None:
    found = scored(folder, "classification", b'{"a": "x", "b": "x"}', b'{"b": "y", "a": "x"}')
    assert found["metrics"]["overall_accuracy"]["value"] == 0.5
    found = scored(folder, "classification", b'{"a": [0.4, 0.6], "b": [1, 0]}', b'{"b": 0, "a": 1}')
    assert found["metrics"]["overall_accuracy"]["value"] == 1.0
    found = scored(
        folder, "vqa", b'{"4": "yes"}', b'[{"question_id": 4.0, "image_id": 1, "type": "comp", "answer": "yes"}]'
    )
    assert found["metrics"]["OA"]["value"] == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "list of objects"),
        (b"[]", "list of objects"),
        (b"\x00\xff\x80", "line 1 is not"),
        ("id,label\n1,né\n".encode("latin-1"), "line 2 is not UTF-8 text"),
        (b'[{"id": 1, "label": "a"}', "as JSON: line 1, column 25"),
        (b'{"id": 1, "label": "a"}\n{"id": 2, "label": }', "as JSON: line 2, column 20"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "one object holds 'a' twice"),
        (b'[{"id": "\\ud800", "label": "a"}]', "half of a surrogate pair"),
        (b'[{"id": 1, "label": ' + b"1" * 5000 + b"}]", "more digits"),
        (b'[{"id": 1, "label": "a"}, {"id": 1.0, "label": "a"}, {"id": "1.0"}]', r"hold id '1' twice \(and 1 more\)"),
        (b'[{"id": true, "label": "a"}]', "the 'id' True, which is no text or whole number, in entry 1"),
        (b'[{"id": 1.5, "label": "a"}]', "the 'id' 1.5, which .* in entry 1"),
        (b'{"id": 1, "label": "a"}\n{"label": "a"}', "no 'image_id' or 'id' in entry 2"),
        (b"Id;Label\n1;a\n", "no 'image_id' or 'id' in row 1"),
        (b"id,label\n1,a\n2,b,c\n", "line 3 has 3 cells, the headings 2"),
        (b"id,id\n1,2\n", "two columns are called 'id'"),
        (b'id,label\n1,"a\n', "as CSV: line 2"),
        (b"id,probabilities\n1,[0.5 0.5]\n", "column 'probabilities', cannot be read as JSON"),
        (b"PAR1 and no table", "cannot be read as parquet"),
        (as_parquet([{"id": b"\xff", "label": "a"}]), "no text or whole number"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_says_where(folder: Path, content: bytes, said: str) -> None:
    (folder / "p.json").write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        predictions_in(folder / "p.json", get_task("classification"))
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for path, said in (
        (folder / "pipe", "this is no file"),
        (folder, "this is no file"),
        (folder / "none", "No such file"),
    ):
        with pytest.raises(UserError, match=f"The references .* cannot be read: {said}"):
            references_in(path, get_task("vqa"))


def test_a_small_file_of_endless_rows_is_refused(folder: Path) -> None:
    column = pa.array(["x"] * 2**20).dictionary_encode()
    parquet.write_table(pa.table({f"p{k}": column for k in range(65)}), folder / "many")
    with pytest.raises(UserError, match="1,048,576 rows of this size are too many"):
        predictions_in(folder / "many", get_task("classification"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["id", "image_id", "label", "probabilities", "logits", "caption", "captions", "answer", "type",
                         "annotations", "p0", "a"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
GOOD = [{"id": "a", "label": "x", "caption": "x y", "captions": ["x y"], "image": 1, "type": "comp", "answer": "yes"}]


@st.composite
def foreign(draw: st.DrawFn) -> bytes:
    """Bytes, JSON of our fields in any shape, and good files of which some bytes were changed."""
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return draw(st.sampled_from([b"", b"PAR1", b"id,label\n", b"[", b'{"id":'])) + draw(st.binary(max_size=60))
    if kind == 1:
        return "\n".join(json.dumps(v) for v in draw(st.lists(JSON, min_size=1, max_size=3))).encode()
    changed = bytearray(FORMS[draw(st.sampled_from(["json", "lines", "csv-of-excel", "csv-lists"]))](GOOD))
    for place in draw(st.lists(st.integers(0, len(changed) - 1), max_size=4)):
        changed[place] = draw(st.integers(0, 255))
    return bytes(changed)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["classification", "captioning", "vqa"]), foreign(), st.booleans(), st.booleans())
def test_any_file_is_scored_or_refused_in_a_sentence(
    folder: Path, task: str, content: bytes, swapped: bool, logits: bool
) -> None:
    good = json.dumps(GOOD).encode()
    with contextlib.suppress(UserError):
        scored(folder, task, *((good, content) if swapped else (content, good)), logits=logits)


def test_numbers_of_a_task_are_read_from_any_form(tmp_path: Path) -> None:
    """One number or a row of them for each sample; of another count, or no number, in a sentence."""

    class Shares(ArrayTask):
        name = "shares"

    task, context = Shares(), MetricContext("shares")
    truth, _ = task.references_of([{"id": "a", "value": [0.2, 0.8]}, {"id": "b", "value": [1, 0]}], None, [])
    (tmp_path / "p.csv").write_text('id,value\nb,"[0.5, 0.5]"\na,"[0.25, 0.75]"\n')
    found = task.outcome_of(predictions_in(tmp_path / "p.csv", task), truth, context)
    assert found.predictions.values.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert found.references.tolist() == [[0.2, 0.8], [1.0, 0.0]]
    task.write(tmp_path / "p.parquet", found)
    again = task.read(tmp_path / "p.parquet")
    assert (again.predictions.values.tolist(), list(again.predictions.ids)) == ([[0.25, 0.75], [0.5, 0.5]], ["a", "b"])
    for value, message in (([0.1], "has 1 numbers"), ("x", "has no 'value'"), ([0.1, float("nan")], "has no 'value'")):
        entries = [{"id": "a", "value": value}, {"id": "b", "value": [0, 1]}]
        with pytest.raises(UserError, match=message):
            task.outcome_of(entries, truth, context)
