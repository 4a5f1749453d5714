"""JSON Schemas of what people write and read: suite files and records.

The files beside this one are those that ``rsbench schema NAME`` prints; editors complete and check a suite that starts
with ``# yaml-language-server: $schema=FILE``.
"""

from __future__ import annotations

import json
from typing import Any, Final

from rsbench.errors import UserError, did_you_mean

NAMES: Final = ("suite", "record")
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(name: str) -> dict[str, Any]:
    """Return a schema as plain data.

    Raises:
        UserError: there is none of this name.
    """
    if name == "suite":
        from rsbench.suites.schema import Suite

        return {"$schema": DIALECT} | Suite.model_json_schema()
    if name == "record":
        from rsbench.records.schema import model

        return {"$schema": DIALECT} | model().json_schema()
    raise UserError(f"There is no schema '{name}'.{did_you_mean(name, NAMES)} Schemas: {', '.join(NAMES)}.")


def text(name: str) -> str:
    """Return a schema as the text that is published."""
    return json.dumps(schema(name), indent=2) + "\n"
