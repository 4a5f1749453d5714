from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsbench.errors import UserError
from rsbench.tasks.predictions import read, write


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


def test_labels_alone(tmp_path: Path) -> None:
    write(tmp_path / "p.parquet", ["a"], np.array([1]), np.array([2]), None)
    predictions, references = read(tmp_path / "p.parquet")
    assert predictions.probabilities is None
    assert (predictions.labels.tolist(), references.tolist()) == ([2], [1])


def test_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_text("hello")
    with pytest.raises(UserError, match="cannot be read as predictions"):
        read(tmp_path / "p.parquet")
