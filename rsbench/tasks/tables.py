"""Tables of per-sample predictions as parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.errors import UserError
from rsbench.files import write_atomically

BATCH: Final = 4096  # rows that are decoded at once
MOST_BYTES: Final = 1 << 29  # of the decoded columns of a table, unless its file is that large itself


def write(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns (pyarrow arrays) of equal length, atomically and zstd-compressed."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(dict(columns))
    write_atomically(path, lambda out: parquet.write_table(table, out, compression="zstd", compression_level=9))


def read(path: Path, needed: tuple[str, ...]) -> Any:
    """Return the pyarrow table at *path*.

    Raises:
        UserError: the file is missing, is not parquet, or lacks one of the *needed* columns.
    """
    return Columns(path).read(needed, alone=False)


def numbers(table: Any, name: str) -> np.ndarray:
    """Return a column of numbers of a pyarrow table, [N], not to be written to.

    pyarrow's own ``to_numpy`` would import all of pandas first.

    Raises:
        UserError: it holds something else, or misses some.
    """
    import pyarrow as pa

    try:
        return np.from_dlpack(table[name].combine_chunks())
    except pa.ArrowException as error:
        raise UserError(f"Column {name} of the predictions is not of numbers, one for each sample: {error}.") from None


class Columns:
    """A table of which columns are read one by one, by what has been read of the file already.

    Args:
        content: of the file; read where it is not given.

    Raises:
        UserError: the file is missing or not parquet.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.path = path
        self.outcome: Any = None  # all of it, where that has been read
        try:
            self.content = path.read_bytes() if content is None else content
            self.file = parquet.ParquetFile(pa.BufferReader(self.content))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self._error(str(error)) from None

    def read(self, needed: tuple[str, ...], *, alone: bool = True) -> Any:
        """Return the pyarrow table of the columns *needed*, or of all where these are not *alone*.

        Raises:
            UserError: one is not there, or cannot be decoded.
        """
        import pyarrow as pa

        known = set(self.file.schema_arrow.names)
        missing = [name for name in needed if name not in known]
        if missing:
            raise self._error(f"it has no column {', '.join(missing)}")
        names = list(needed) if alone else self.file.schema_arrow.names
        try:
            self._check_size(names)
            return self.file.read(names, use_threads=False)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self._error(str(error)) from None

    def raw(self, name: str) -> bytes:
        """Return the bytes that hold a column of a flat table: the same bytes are the same values.

        Much faster than decoding thousands of strings to compare them.

        Raises:
            UserError: there is no such column.
        """
        metadata = self.file.metadata
        if name not in metadata.schema.names:
            raise self._error(f"it has no column {name}")
        position = metadata.schema.names.index(name)
        chunks = [metadata.row_group(g).column(position) for g in range(metadata.num_row_groups)]
        parts = [repr([(c.compression, c.encodings, c.num_values) for c in chunks]).encode()]
        for chunk in chunks:
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            parts.append(self.content[start : start + chunk.total_compressed_size])
        return b"".join(parts)

    def _check_size(self, names: list[str]) -> None:
        """Raise ValueError where columns decode to more than may be.

        Of numbers that is known; only columns of other types are decoded for it, part by part.
        """
        import pyarrow as pa

        types = {name: self.file.schema_arrow.field(name).type for name in names}
        open_ended = [name for name, kind in types.items() if not pa.types.is_primitive(kind)]
        bits = sum(kind.bit_width for name, kind in types.items() if name not in open_ended)
        if self.file.metadata.num_rows * bits // 8 > _most(len(self.content)):
            raise ValueError(_too_large(self.file))
        for _ in batches(self.file, len(self.content), open_ended) if open_ended else ():
            pass

    def _error(self, what: str) -> UserError:
        return UserError(f"{self.path} cannot be read as predictions: {what}.")


def batches(file: Any, size: int, names: list[str] | None = None) -> Iterator[Any]:
    """Yield the rows of a parquet file of *size* bytes part by part, pyarrow record batches.

    Args:
        names: of the columns that are decoded; default: all.

    Raises:
        ValueError: what was decoded is more than may be: a small file can stand for any number of equal rows.
    """
    left = _most(size)
    for batch in file.iter_batches(BATCH, columns=names, use_threads=False):
        left -= sum(_plain(column).nbytes for column in batch.columns)
        if left < 0:
            raise ValueError(_too_large(file))
        yield batch


def _most(size: int) -> int:
    return max(MOST_BYTES, 16 * size)


def _too_large(file: Any) -> str:
    return f"its {file.metadata.num_rows:,} rows are too large"


def _plain(column: Any) -> Any:
    """Return a pyarrow array with its values in place, in which equal ones are not one."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column
