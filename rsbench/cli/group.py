"""The group of all commands: flags without a type, and a hint where an option is a field of recipes or of models."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import typer
from typer.core import TyperGroup

from rsbench.specs import RECIPE_DESCRIPTION, RecipeSpec


class Commands(TyperGroup):
    """What Typer makes of the app, in help and errors."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options before a command."""
        return _plain(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or a group with its commands."""
        command = super().get_command(ctx, cmd_name)
        for one in () if command is None else (command, *getattr(command, "commands", {}).values()):
            _plain(one.get_params(ctx))
        return command

    def invoke(self, ctx: Any) -> Any:
        """Call a command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter:
            raise
        except Exception as error:
            option = getattr(error, "option_name", None)  # Typer keeps the class of an unknown option to itself
            if isinstance(option, str) and (hint := _hint(option.lstrip("-").replace("-", "_"))):
                error.message += hint  # type: ignore[attr-defined]
                error.possibilities = []  # type: ignore[attr-defined]
            raise


def _plain(parameters: list[Any]) -> list[Any]:
    """Take from flags the type behind their names, which reads as if they took a value."""
    for one in parameters:
        if getattr(one, "is_flag", False) and one.metavar is None:
            one.metavar = ""
    return parameters


def _hint(name: str) -> str:
    """Say how what was taken for an option is set."""
    if name in {f.name for f in fields(RecipeSpec)} - set(RECIPE_DESCRIPTION):
        return f". It is a field of recipes: --set {name}=VALUE"
    from rsbench.registry import registry

    models = [n for n, spec in registry().specs("model").items() if name in spec.options]
    others = " and others" if models[1:] else ""
    return f". It is an option of {models[0]}{others}: --option {name}=VALUE" if models else ""
