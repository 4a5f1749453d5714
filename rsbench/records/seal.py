"""The digest of a record, which covers every field: also what was measured once and cannot be computed anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rsbench.plan import digest


def digest_of(record: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no spaces, ASCII) of a record without its ``digest``."""
    return digest({name: value for name, value in record.items() if name != "digest"})


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as it is read back once written, with its digest.

    Raises:
        ValueError: it holds something that JSON does not, such as NaN.
    """
    plain: dict[str, Any] = json.loads(json.dumps(record, allow_nan=False))
    return plain | {"digest": digest_of(plain)}


def was_unsealed(record: Mapping[str, Any]) -> bool:
    """Whether a record was written before records had a digest, and says so."""
    return any(change["field"] == "schema" for change in record["amended"])
