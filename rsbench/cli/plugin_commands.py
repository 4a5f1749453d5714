"""Commands of plugins: made apart from ours, of which they can change nothing, and added where their names are free."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import typer
from typer.models import CommandInfo, TyperInfo

from rsbench.containment import Origin, contained
from rsbench.registry import registry

ENDS = (typer.Exit, typer.Abort, typer.BadParameter, SystemExit)  # as commands may end


def add(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands of plugins to *app*, which has all of ours; *chosen* as for :func:`rsbench.cli.app.build`."""
    for origin, call in registry().callers("rsbench_commands"):
        made = registry().ask(origin, "rsbench_commands", partial(_made, call, chosen))
        if made is None:
            continue
        if made.registered_callback is not None:
            registry().note(
                origin, "rsbench_commands set a callback, which is left out: options of all commands are ours"
            )
        for command in made.registered_commands:
            if _is_free(app, origin, name := _name(command)):
                command.callback = _contained(origin, name, command.callback)
                app.registered_commands.append(command)
        for group in made.registered_groups:
            if _is_free(app, origin, _name(group)):
                _contain_all(origin, group)
                app.registered_groups.append(group)


def _is_free(app: typer.Typer, origin: Origin, name: str) -> bool:
    """Whether no command or group is called *name* yet; a problem where one is."""
    taken = name in {*map(_name, app.registered_commands), *map(_name, app.registered_groups)}
    if taken:
        registry().note(origin, f"command '{name}' is already taken", fatal=False)
    return not taken


def _made(call: Callable[..., Any], chosen: str | None) -> typer.Typer:
    """Return an app of the plugin's commands, each of which can be built."""
    own = typer.Typer()
    call(app=own, chosen=chosen)
    if own.registered_commands or own.registered_groups:
        typer.main.get_group(own)
    return own


def _name(info: CommandInfo | TyperInfo) -> str:
    """What is typed to call a command or a group."""
    if isinstance(info, CommandInfo):
        return info.name or typer.main.get_command_name(getattr(info.callback, "__name__", ""))
    own = info.typer_instance.info.name if info.typer_instance else None
    return next((name for name in (info.name, own) if isinstance(name, str)), "")


def _contain_all(origin: Origin, group: TyperInfo) -> None:
    """Contain the commands of a group, and of groups in it."""
    app = group.typer_instance
    for info in app.registered_commands if app else ():
        info.callback = _contained(origin, f"{_name(group)} {_name(info)}", info.callback)
    for inner in app.registered_groups if app else ():
        _contain_all(origin, inner)


def _is_of_the_system(error: OSError | UnicodeEncodeError) -> bool:
    """Whether it is about a file that the user named, a full disk or the terminal, and said as for our commands."""
    return (
        isinstance(error, UnicodeEncodeError)
        or error.filename is not None
        or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EPIPE)
    )


def _contained(origin: Origin, name: str, callback: Any) -> Any:
    """Return a command that ends with one sentence where it raises."""

    @wraps(callback)
    def run(*args: Any, **options: Any) -> Any:
        with contained(origin, f"command '{name}'", limit=False):
            try:
                return callback(*args, **options)
            except ENDS as error:
                end: BaseException = error
            except (OSError, UnicodeEncodeError) as error:
                if not _is_of_the_system(error):
                    raise
                end = error
        raise end

    return run
