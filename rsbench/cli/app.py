"""The Typer app: global options, and the commands of one file each."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rsbench import __version__
from rsbench.cli import (
    compare,
    data,
    doctor,
    evaluate,
    leaderboard,
    listing,
    plugin_commands,
    plugins,
    predict,
    run,
    runs,
    schema,
    score,
    show,
    upgrade,
    verify,
)
from rsbench.cli.group import Commands
from rsbench.registry import registry

HELP = """Train and evaluate remote-sensing models under fixed protocols, and rank them honestly.

Examples:

  rsbench run                                      the demo: a few small models on generated scenes
  rsbench list models                              what can be run
  rsbench data prepare eurosat --source DIR        files become arrays, once
  rsbench run timm:resnet18 eurosat --seeds 0-2    train and evaluate three seeds
  rsbench leaderboard rsbench-results              what the records say
"""


def build(chosen: str | None = None) -> typer.Typer:
    """Return the app with the core's commands and those of plugins, whole where they are *chosen* (``None``: all)."""
    app = typer.Typer(name="rsbench", cls=Commands, help=HELP, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(globals_)
    for module in (
        run,
        evaluate,
        listing,
        show,
        data,
        leaderboard,
        compare,
        score,
        verify,
        upgrade,
        schema,
        plugins,
        predict,
        runs,
        doctor,
    ):
        module.register(app, chosen)
    plugin_commands.add(app, chosen)
    return app


def _show_version(asked: bool) -> None:
    """Show it before a command is asked for."""
    if asked:
        typer.echo(f"rsbench {__version__}")
        raise typer.Exit


def globals_(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and stop.", is_eager=True, callback=_show_version)
    ] = False,
    plugin: Annotated[
        list[str] | None, typer.Option("-p", metavar="no:NAME", help="Do not import plugin NAME. May be repeated.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of mistakes.")] = False,
) -> None:
    """Handle the options that all commands share."""
    del version, plugin, debug  # handled by its callback; the others are read from the arguments before all else
    for problem in registry().problems:
        print(f"rsbench: {problem}", file=sys.stderr)
