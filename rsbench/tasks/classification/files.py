"""Per-sample predictions of classification as parquet: what a record's metrics are computed and verified from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from rsbench.tasks import tables
from rsbench.tasks.classification import Predictions

# The smallest positive float16.  Without this floor a probability of 1e-8 would be kept as 0, and one such reference
# would cost 708 nats; with it no sample costs more than 16.6.
FLOOR: Final = 2.0**-24


def write(
    path: Path, ids: Sequence[str], references: np.ndarray, labels: np.ndarray, probabilities: np.ndarray | None
) -> None:
    """Write ``id``, ``reference``, ``prediction`` (int16) and ``p0`` .. (float16), atomically and zstd-compressed.

    Rounding to float16 can tie the largest probabilities, so the predicted label is kept in its own column.
    Probabilities below 6e-8 are kept as 6e-8.

    Args:
        path: of the parquet file.
        ids: of N samples.
        references, labels: int64 [N].
        probabilities: float [N, K], or ``None``.
    """
    import pyarrow as pa

    columns: dict[str, object] = {
        "id": pa.array(list(ids), pa.string()),
        "reference": pa.array(references.astype(np.int16)),
        "prediction": pa.array(labels.astype(np.int16)),
    }
    if probabilities is not None:
        half = _rounded(probabilities)
        columns |= {f"p{k}": pa.array(np.ascontiguousarray(half[:, k])) for k in range(half.shape[1])}
    tables.write(path, columns)


def read(path: Path) -> tuple[Predictions, np.ndarray]:
    """Return predictions and references int64 [N]; probabilities are renormalized in float64.

    Raises:
        UserError: the file is missing or not a table of predictions.
    """
    table = tables.read(path, ("id", "reference", "prediction"))
    references = tables.numbers(table, "reference").astype(np.int64)
    labels = tables.numbers(table, "prediction").astype(np.int64)
    columns = [tables.numbers(table, f"p{k}") for k in range(len(table.column_names) - 3)]
    probabilities = _renormalized(np.stack(columns, axis=1)) if columns else None
    return Predictions(table["id"].to_pylist(), labels, probabilities), references


def read_labels(columns: tables.Columns) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted labels and references int64 [N], without ids and probabilities.

    Raises:
        UserError: it is not a table of predictions.
    """
    table = columns.read(("prediction", "reference"))
    labels, references = (tables.numbers(table, name).astype(np.int64) for name in ("prediction", "reference"))
    return labels, references


def as_stored(predictions: Predictions) -> Predictions:
    """Return predictions as :func:`read` gives them back after :func:`write`, so that their scores can be verified."""
    if predictions.probabilities is None:
        return predictions
    return replace(predictions, probabilities=_renormalized(_rounded(predictions.probabilities)))


def _rounded(probabilities: np.ndarray) -> np.ndarray:
    return np.maximum(probabilities, FLOOR).astype(np.float16)


def _renormalized(half: np.ndarray) -> np.ndarray:
    wide = half.astype(np.float64)
    return wide / wide.sum(axis=1, keepdims=True)
