"""Tables of per-sample predictions as parquet files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsbench.errors import UserError


def write(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns (pyarrow arrays) of equal length, atomically and zstd-compressed."""
    import pyarrow as pa
    from pyarrow import parquet

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        parquet.write_table(pa.table(dict(columns)), temporary, compression="zstd", compression_level=9)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def raw_column(path: Path, name: str) -> bytes:
    """Return the bytes that hold a column of a flat table: tables whose bytes are the same have the same values.

    Much faster than decoding thousands of strings to compare them.

    Raises:
        UserError: the file is missing, is not parquet, or has no such column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
        position = metadata.schema.names.index(name)
        chunks = [metadata.row_group(g).column(position) for g in range(metadata.num_row_groups)]
        parts = [repr([(c.compression, c.encodings, c.num_values) for c in chunks]).encode()]
        with path.open("rb") as stream:
            for chunk in chunks:
                stream.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
                parts.append(stream.read(chunk.total_compressed_size))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read as predictions: {error}.") from None
    return b"".join(parts)


def read(path: Path, needed: tuple[str, ...], *, alone: bool = False) -> Any:
    """Return the pyarrow table at *path*: all its columns, or those *needed* *alone*.

    Raises:
        UserError: the file is missing, is not parquet, or lacks one of the *needed* columns.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:  # ten times as fast as read_table, which looks for datasets
            missing = [name for name in needed if name not in file.schema_arrow.names]
            if missing:
                raise UserError(f"{path} cannot be read as predictions: it has no column {', '.join(missing)}.")
            return file.read(list(needed) if alone else None, use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read as predictions: {error}.") from None
