from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsbench.errors import UserError
from rsbench.tasks.classification import Predictions
from rsbench.tasks.classification.files import as_stored, read, write


def test_round_trip_keeps_labels_and_rounds_probabilities(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(10), 300)
    p[0] = [0.49995, 0.50005, *[0] * 8]  # equal once rounded to float16
    labels = p.argmax(1)
    path = tmp_path / "p.parquet"
    write(path, [f"i{k}" for k in range(300)], labels[::-1], labels, p)
    predictions, references = read(path)
    assert list(predictions.ids[:2]) == ["i0", "i1"]
    assert np.array_equal(predictions.labels, labels)
    assert np.array_equal(references, labels[::-1])
    assert predictions.probabilities is not None
    assert np.allclose(predictions.probabilities, p, atol=5e-4)
    assert np.allclose(predictions.probabilities.sum(1), 1, atol=1e-12)
    assert [f.name for f in tmp_path.iterdir()] == ["p.parquet"]


def test_a_tiny_probability_is_not_kept_as_zero(tmp_path: Path) -> None:
    """One zero at the reference would cost 708 nats instead of some 16."""
    p = np.array([[1 - 1e-9, 1e-9], [1e-30, 1.0]])
    write(tmp_path / "p.parquet", ["a", "b"], np.array([1, 0]), np.array([0, 1]), p)
    predictions, references = read(tmp_path / "p.parquet")
    assert predictions.probabilities is not None
    loss = -np.log(predictions.probabilities[[0, 1], references])
    assert loss == pytest.approx(24 * np.log(2), abs=1e-5)


def test_as_stored_is_what_comes_back(tmp_path: Path) -> None:
    p = np.random.default_rng(1).dirichlet(np.full(10, 0.05), 200)
    labels = p.argmax(1)
    ids = [str(k) for k in range(200)]
    write(tmp_path / "p.parquet", ids, labels, labels, p)
    back, _ = read(tmp_path / "p.parquet")
    before = as_stored(Predictions(ids, labels, p))
    assert before.probabilities is not None
    assert np.array_equal(before.probabilities, back.probabilities)
    assert np.array_equal(before.labels, back.labels)


def test_labels_alone(tmp_path: Path) -> None:
    write(tmp_path / "p.parquet", ["a"], np.array([1]), np.array([2]), None)
    predictions, references = read(tmp_path / "p.parquet")
    assert predictions.probabilities is None
    assert (predictions.labels.tolist(), references.tolist()) == ([2], [1])


def test_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_text("hello")
    with pytest.raises(UserError, match="cannot be read as predictions"):
        read(tmp_path / "p.parquet")
