"""Commands that cost nothing until they are called: Typer spends most of its time on the parameters of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def add(app: typer.Typer, name: str, function: Callable[..., Any], chosen: str | None) -> None:
    """Add a command; one that is not *chosen* gets its help line alone.  ``None`` chooses all.

    Args:
        app: gets the command.
        name: by which it is called.
        function: what it does, with its options as parameters.
        chosen: the command that was asked for.
    """
    if chosen not in (None, name):
        app.command(name)(_line(function))
        return
    from rsbench.cli.how import with_options

    app.command(name)(with_options(function))


def _line(function: Callable[..., Any]) -> Callable[[], None]:
    """A command without parameters that has the help of *function*."""

    def unused() -> None:
        """Replaced below."""

    unused.__doc__ = function.__doc__
    return unused


def chosen_command(arguments: list[str]) -> str:
    """Return the command among the arguments, or an empty string."""
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "-p":
            skip = True
        elif not argument.startswith("-"):
            return argument
    return ""
