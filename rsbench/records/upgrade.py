"""Old records are read for ever: one pure function a schema number takes a record to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.foreign import whole
from rsbench.records.blank import SCHEMA

PREFIX: Final = "rsbench.record/"
CURRENT: Final = int(SCHEMA.removeprefix(PREFIX))


def _sealable(record: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 adds ``digest`` and ``amended``; an old record says there that nothing sealed it."""
    change = {
        "field": "schema",
        "was": record["schema"],
        "now": f"{PREFIX}2",
        "why": "written before records had a digest",
    }
    return {**record, "schema": change["now"], "amended": [change], "digest": record.get("digest")}


# STEPS[n] takes a record of schema n to schema n + 1 and does not change its argument.
STEPS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: _sealable}


def upgrade(record: dict[str, Any], source: str) -> dict[str, Any]:
    """Return *record* in the current schema.

    Raises:
        UserError: it is not a record, or one of a newer rsbench; *source* is named.
    """
    name = str(record.get("schema", ""))
    number = whole(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    if not number:
        raise UserError(f"{source} is not an rsbench record: its schema is '{name or 'missing'}'.")
    if number > CURRENT:
        raise UserError(f"{source} was written by a newer rsbench (schema {number}); upgrade rsbench to read it.")
    for step in range(number, CURRENT):
        record = STEPS[step](record)
    return record
