"""The reference of the command line, read from the signatures that Typer reads."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import typer
from typer.models import ArgumentInfo, OptionInfo

from docs.generator.text import code, table
from rsbench.cli.app import build

INTRODUCTION: Final = """# Command line

Exit codes: 0 fine, 1 a run or a check failed, 2 a usage error in one sentence,
130 interrupted by Ctrl-C, 143 by SIGTERM.
Names complete with the tab key after `rsbench --install-completion`.
"""


@dataclass(frozen=True)
class Parameter:
    """An argument or option: how it is written, its default as shown, and what it means."""

    names: tuple[str, ...]
    takes_value: bool
    default: str
    help: str
    metavar: str

    @property
    def is_option(self) -> bool:
        """Whether it is written with dashes."""
        return self.names[0].startswith("-")


@dataclass(frozen=True)
class Command:
    """A command by its words, such as ``("data", "fetch")``; ``()`` stands for the program itself."""

    path: tuple[str, ...]
    doc: str
    parameters: tuple[Parameter, ...] = field(default=())

    @property
    def options(self) -> dict[str, Parameter]:
        """Options by each of their spellings."""
        return {name: p for p in self.parameters if p.is_option for name in p.names}


def commands() -> dict[tuple[str, ...], Command]:
    """Return every command of rsbench, those of groups too."""
    app = build()
    callback = app.registered_callback
    assert callback is not None
    program = _command((), callback.callback, app.info.help)
    return {c.path: c for c in (program, *_walk(app, ()))}


def _walk(app: typer.Typer, path: tuple[str, ...]) -> Iterator[Command]:
    for info in app.registered_commands:
        assert info.name is not None
        yield _command((*path, info.name), info.callback, info.help)
    for group in app.registered_groups:
        inner, name = group.typer_instance, group.name
        assert inner is not None
        assert name is not None
        callback = inner.registered_callback
        own = callback.callback if callback is not None else None
        yield _command((*path, name), own, inner.info.help)
        yield from _walk(inner, (*path, name))


def _command(path: tuple[str, ...], function: Any, doc: str | None) -> Command:
    text = inspect.cleandoc(doc or (function.__doc__ if function else "") or "")
    return Command(path, text, tuple(_parameters(function)) if function else ())


def _parameters(function: Any) -> Iterator[Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints[name]
        info = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, ArgumentInfo | OptionInfo)), None)
        if info is None or info.hidden:
            continue
        value = parameter.default
        default = "" if value in (inspect.Parameter.empty, None, False, "", ()) else str(value)
        is_flag = typing.get_args(hint)[0] is bool
        written = info.metavar or name.strip("_").upper()
        if isinstance(info, OptionInfo):
            yield Parameter(_spellings(info, name), not is_flag, default, info.help or "", "" if is_flag else written)
        else:
            required = value is inspect.Parameter.empty
            yield Parameter((written if required else f"[{written}]",), True, default, info.help or "", "")


def _spellings(info: OptionInfo, name: str) -> tuple[str, ...]:
    """How an option is written; inside ``Annotated`` Typer keeps the first spelling in the place of the default."""
    first = (info.default,) if isinstance(info.default, str) else ()
    return (*first, *(info.param_decls or ())) or (f"--{name.strip('_').replace('_', '-')}",)


def page() -> str:
    """Return the page."""
    found = commands()
    parts = [INTRODUCTION]
    for path in sorted(found):
        parts.append(_section(found[path]))
    return "\n".join(parts)


def _section(command: Command) -> str:
    title = " ".join(("rsbench", *command.path))
    arguments = [p.names[0] for p in command.parameters if not p.is_option]
    usage = " ".join([title, *(["[OPTIONS]"] if command.options else []), *arguments])
    rows = [
        (
            ", ".join(code(f"{name} {p.metavar}".strip()) for name in p.names),
            p.help,
            code(p.default),
        )
        for p in command.parameters
    ]
    text, examples = _split(command.doc)
    listed = table(("argument or option", "meaning", "default"), rows) if rows else ""
    shown = "Examples:\n\n```text\n" + "\n".join(examples) + "\n```" if examples else ""
    parts = (f"## {title}", f"```text\n{usage}\n```", text, listed, shown)
    return "\n\n".join(part for part in parts if part) + "\n"


def _split(doc: str) -> tuple[str, list[str]]:
    """Return the description, and the lines of its examples."""
    prose, mark, examples = doc.replace("``", "`").partition("\nExample")
    lines = [line.strip() for line in examples.partition(":")[2].splitlines() if line.strip()]
    if mark and len(lines) == 1:
        lines = [part.strip() for part in lines[0].split(";")]
    return prose.strip(), lines
