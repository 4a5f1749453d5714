"""``runs``: what became of each run, and what may go."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from rsbench.cli import lazy
from rsbench.cli.runs_list import list_
from rsbench.cli.runs_remove import clean, rm
from rsbench.cli.runs_show import log, show


class ListsByDefault(TyperGroup):
    """Takes what is no command for the arguments of ``list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` before them, but where commands are to be completed."""
        if not ctx.resilient_parsing and args[:1] not in [[n] for n in (*self.commands, *ctx.help_option_names)]:
            args = ["list", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands."""
    group = typer.Typer(cls=ListsByDefault, help="List runs and their states, show one, read its log, remove some.")
    commands = (("list", list_), ("show", show), ("log", log), ("rm", rm), ("clean", clean))
    for name, function in commands:
        lazy.add(group, name, function, None if chosen in (None, "runs") else "")
    app.add_typer(group, name="runs")
