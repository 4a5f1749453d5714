"""``schema``: what suite files and records may hold, for editors and validators."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from rsbench.cli import complete, lazy
from rsbench.errors import UserError
from rsbench.schemas import NAMES, text
from rsbench.suites import EXAMPLE

SUITE: Final = "suite"


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "schema", schema, chosen)


def schema(
    name: Annotated[str, typer.Argument(help=" | ".join(NAMES), autocompletion=complete.among(NAMES))],
    example: Annotated[bool, typer.Option("--example", help="Print a suite to begin with.")] = False,
) -> None:
    """Print the JSON Schema of suite files or of records.

    An editor completes and checks a suite whose first line is

      # yaml-language-server: $schema=suite.schema.json

    Examples:

      rsbench schema suite --example > suite.yaml

      rsbench schema suite > suite.schema.json

      rsbench schema record > record.schema.json
    """
    if example and name != SUITE:
        raise UserError(f"There is an example of '{SUITE}' alone; records are written by runs.")
    typer.echo(EXAMPLE.read_text(encoding="utf-8") if example else text(name), nl=False)
