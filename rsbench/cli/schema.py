"""``schema``: what suite files and records may hold, for editors and validators."""

from __future__ import annotations

from typing import Annotated

import typer

from rsbench.cli import complete, lazy
from rsbench.schemas import NAMES, text


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "schema", schema, chosen)


def schema(
    name: Annotated[str, typer.Argument(help=" | ".join(NAMES), autocompletion=complete.among(NAMES))],
) -> None:
    """Print the JSON Schema of suite files or of records.

    An editor completes and checks a suite whose first line is

      # yaml-language-server: $schema=suite.schema.json

    Examples:

      rsbench schema suite > suite.schema.json

      rsbench schema record > record.schema.json
    """
    typer.echo(text(name), nl=False)
