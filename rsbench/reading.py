"""Text, JSON and CSV as people have them: byte-order marks, UTF-16, any line ends, one JSON value or one a line.

What a user hands in is read here, so that every file is understood, or refused in one sentence, alike.  In the errors
*where* begins the sentence: ``"The predictions p.json"``.
"""

from __future__ import annotations

import csv
import gc
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.files import regular
from rsbench.foreign import whole as whole

DELIMITERS: Final = ",;\t"
LARGEST_NOTE: Final = 16 << 20  # bytes
_SPACE: Final = re.compile(r"\s*")
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")  # may be half of a surrogate pair, of which no text can be made


def content_of(path: Path, where: str, most: int | None = None) -> bytes:
    """Return the bytes of a file.

    Args:
        most: bytes that it may have.

    Raises:
        UserError: it cannot be read, is larger, or is a pipe or a device, which might never end.
    """
    try:
        return regular(path, most).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def decoded(content: bytes, where: str) -> str:
    """Return the text of a file in UTF-8, UTF-16 or UTF-32, without its byte-order mark.

    Raises:
        UserError: it is in none of these; the sentence names the line.
    """
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{where} cannot be read: line {line} is not {encoding.upper()} text; save the file as UTF-8."
        ) from None


def json_values(text: str, where: str) -> list[Any]:
    """Return the JSON values that follow one another in *text*: one of a document, many of JSON lines.

    Raises:
        UserError: one is not valid, holds a key twice or half a character, or is nested too deeply.
    """
    found = []
    decoder = json.JSONDecoder(object_pairs_hook=lambda pairs: _object(pairs, where))
    place = _after_space(text, 0)
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            found.append(value)
            place = _after_space(text, place)
        if _HALF.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where} cannot be read as JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except RecursionError:
        raise UserError(f"{where} cannot be read as JSON: lists and objects are nested too deeply.") from None
    except UnicodeEncodeError:
        raise UserError(f"{where} cannot be read as JSON: a text holds half of a surrogate pair.") from None
    except ValueError:
        raise UserError(f"{where} cannot be read as JSON: a number has more digits than can be read.") from None
    return found


def json_document(content: bytes, where: str) -> Any:
    """Return the one value of a JSON file.

    Raises:
        UserError: it is no text, or not one JSON value (see :func:`json_values`).
    """
    values = json_values(decoded(content, where), where)
    if len(values) != 1:
        raise UserError(f"{where} cannot be read as JSON: it holds {len(values)} values, not one.")
    return values[0]


def kept(path: Path) -> Any:
    """Return what was noted in a file of JSON to save work later; ``None`` where there is none, or it is damaged."""
    try:
        return json_document(content_of(path, "it", LARGEST_NOTE), "it")
    except UserError:
        return None


def csv_rows(text: str, where: str) -> list[dict[str, str]]:
    """Return the rows of a table with a line of headings, separated by commas, semicolons or tabs; empty rows are left
    out.

    Raises:
        UserError: a row has another number of cells than the headings, two columns have one name, or quotes do not
            match; the sentence names the line.
    """
    heading = text.lstrip().partition("\n")[0]
    table = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=heading.count), skipinitialspace=True, strict=True
    )
    names: list[str] = []
    found = []
    try:
        for cells in table:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                if twice := next((name for name in names if names.count(name) > 1), None):
                    raise UserError(f"{where} cannot be read as CSV: two columns are called '{twice}'.")
                continue
            if len(cells) != len(names):
                raise UserError(
                    f"{where} cannot be read as CSV: line {table.line_num} has {len(cells)} cells, the headings "
                    f"{len(names)}."
                )
            found.append(dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise UserError(f"{where} cannot be read as CSV: line {table.line_num}: {error}.") from None
    return found


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Of two values under one key JSON would drop the first without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{where} cannot be read as JSON: one object holds '{twice}' twice.")
    return found


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector of cycles from walking over thousands of records, which have none, again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
