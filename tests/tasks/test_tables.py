"""Prediction files read by column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rsbench.errors import UserError
from rsbench.tasks import tables
from rsbench.tasks.classification import files as predictions
from rsbench.tasks.tables import Columns


def write(path: Path, ids: list[str], labels: list[int], probabilities: np.ndarray | None = None) -> Path:
    predictions.write(path, ids, np.arange(len(ids)) % 3, np.array(labels), probabilities)
    return path


def test_the_same_ids_have_the_same_bytes_whatever_stands_beside_them(tmp_path: Path) -> None:
    ids = [f"image_{k}" for k in range(500)]
    one = write(tmp_path / "one", ids, [0] * 500)
    two = write(tmp_path / "two", ids, list(np.arange(500) % 7), np.full((500, 3), 1 / 3))
    other = write(tmp_path / "other", [*ids[:-1], "image_x"], [0] * 500)
    columns = Columns(one)
    assert columns.raw("id") == Columns(two).raw("id")
    assert columns.raw("id") != Columns(other).raw("id")
    assert columns.raw("id") != columns.raw("prediction")


def test_labels_are_read_without_probabilities(tmp_path: Path) -> None:
    path = write(tmp_path / "one", ["a", "b", "c", "d"], [2, 1, 0, 1], np.full((4, 3), 1 / 3))
    labels, references = predictions.read_labels(Columns(path, path.read_bytes()))
    np.testing.assert_array_equal(labels, [2, 1, 0, 1])
    np.testing.assert_array_equal(references, [0, 1, 2, 0])
    table = Columns(path).read(("prediction",))
    assert table.column_names == ["prediction"]


@pytest.mark.parametrize("column", ["id", "score"])
def test_what_is_not_there_is_named(tmp_path: Path, column: str) -> None:
    tables.write(tmp_path / "one", {"prediction": pa.array([1, 2])})
    with pytest.raises(UserError, match=f"it has no column {column}"):
        Columns(tmp_path / "one").read((column,))
    with pytest.raises(UserError, match=f"it has no column {column}"):
        Columns(tmp_path / "one").raw(column)
    with pytest.raises(UserError, match="cannot be read as predictions"):
        Columns(tmp_path / "none")


def test_numbers_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How large they are is known without; of texts, only they are looked at before."""
    path = write(tmp_path / "one", ["a", "b", "c", "d"], [2, 1, 0, 1], np.full((4, 3), 1 / 3))
    looked_at: list[list[str]] = []
    batches = tables.batches
    monkeypatch.setattr(tables, "batches", lambda *given: looked_at.append(given[2]) or batches(*given))
    predictions.read_labels(Columns(path))
    assert looked_at == []
    predictions.read(path)
    assert looked_at == [["id"]]


def test_numbers_without_end_are_refused_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables.write(tmp_path / "one", {"prediction": np.zeros(10_000, np.int16), "reference": np.zeros(10_000, np.int16)})
    monkeypatch.setattr(tables, "MOST_BYTES", 30_000)
    assert tables.numbers(Columns(tmp_path / "one").read(("prediction",)), "prediction").shape == (10_000,)
    with pytest.raises(UserError, match="its 10,000 rows are too large"):
        Columns(tmp_path / "one").read(("prediction", "reference"))


def test_a_small_file_of_endless_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    for rows, fits in ((3000, True), (1_000_000, False)):
        ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["a" * 1000])
        tables.write(path, {"id": ids, "label": np.zeros(rows, np.int16)})
        assert path.stat().st_size < 1_000_000
        if fits:
            assert tables.read(path, ("id", "label")).num_rows == 3000
        else:
            with pytest.raises(UserError, match="its 1,000,000 rows are too large"):
                tables.read(path, ("id",))
