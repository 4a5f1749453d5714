"""Per-sample predictions of classification as parquet: what a record's metrics are computed and verified from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rsbench.errors import UserError
from rsbench.tasks.classification import Predictions


def write(
    path: Path, ids: Sequence[str], references: np.ndarray, labels: np.ndarray, probabilities: np.ndarray | None
) -> None:
    """Write ``id``, ``reference``, ``prediction`` (int16) and ``p0`` .. (float16), atomically and zstd-compressed.

    Rounding to float16 can tie the largest probabilities, so the predicted label is kept in its own column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, object] = {
        "id": pa.array(list(ids), pa.string()),
        "reference": pa.array(references.astype(np.int16)),
        "prediction": pa.array(labels.astype(np.int16)),
    }
    if probabilities is not None:
        half = probabilities.astype(np.float16)
        columns |= {f"p{k}": pa.array(np.ascontiguousarray(half[:, k])) for k in range(half.shape[1])}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        parquet.write_table(pa.table(columns), temporary, compression="zstd", compression_level=9)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> tuple[Predictions, np.ndarray]:
    """Return predictions and references int64 [N]; probabilities are renormalised in float64.

    Raises:
        UserError: the file is missing or not a table of predictions.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        ids = table["id"].to_pylist()
        references = table["reference"].to_numpy().astype(np.int64)
        labels = table["prediction"].to_numpy().astype(np.int64)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read as predictions: {error}.") from None
    names = [f"p{k}" for k in range(len(table.column_names) - 3)]
    if not names:
        return Predictions(ids, labels), references
    probabilities = np.stack([table[n].to_numpy() for n in names], axis=1).astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Predictions(ids, labels, probabilities), references
