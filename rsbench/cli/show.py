"""``show``: all that is declared about a name, for people or for programs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from rsbench.cli import complete, lazy
from rsbench.cli.listing import kind_of
from rsbench.cli.text_table import lines, terminal_width
from rsbench.containment import Origin
from rsbench.errors import UserError, did_you_mean
from rsbench.execution import OUT
from rsbench.registry import CODE, KINDS, registry
from rsbench.specs import Option, Spec, to_jsonable

# Where the code is, and what only the conformance kit needs.
FOR_PROGRAMS: Final = {*CODE, "reads", "name", "summary", "resolver", "members", "fake", "trial", "example", "golden"}
NOTHING: Final[tuple[Any, ...]] = (None, "", (), {}, [])
FIRST: Final = 6  # of a long tuple of descriptions
NEXT: Final = {
    "model": "rsbench run {name} DATASET",
    "dataset": "rsbench data prepare {name}",
    "protocol": "rsbench run MODEL {dataset} --protocol {name}",
    "recipe": "rsbench run MODEL DATASET --recipe {name}",
    "loss": "rsbench run MODEL DATASET --set loss={name}",
    "optimizer": "rsbench run MODEL DATASET --set optimizer={name}",
}


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "show", show, chosen)


def show(
    name: Annotated[
        str, typer.Argument(help="Name of anything that rsbench list shows.", autocompletion=complete.names(*KINDS))
    ],
    kind: Annotated[
        str | None, typer.Option(help="Kind, where a name has several.", autocompletion=complete.among([*KINDS]))
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """Show what is declared about a name: what it takes, its options, and where each part comes from.

    Examples: rsbench show bmta; rsbench show in-domain-60-20-20; rsbench show timm:resnet18 --json
    """
    found = _find(name, [kind_of(kind)] if kind else [*KINDS])
    for number, (k, spec, origin) in enumerate(found):
        if as_json:
            about = {"kind": k, "plugin": origin.plugin, "distribution": origin.distribution}
            typer.echo(json.dumps(about | to_jsonable(spec), indent=1))
            continue
        whose = f"plugin {origin.plugin}, {origin.distribution} {origin.version}"
        typer.echo("\n" * (number > 0) + f"{spec.name} ({k} of {whose})")
        for line in _described(spec):
            typer.echo(line)
        if k in NEXT and not spec.name.endswith("*"):
            typed = shlex.quote(name) if getattr(spec, "place", "") else spec.name  # of a member that is a path
            typer.echo(f"\nNext: {NEXT[k].format(name=typed, dataset=getattr(spec, 'dataset', ''))}")


def _find(name: str, kinds: Sequence[str]) -> list[tuple[str, Spec, Origin]]:
    """Return what of some kinds has a name.

    Raises:
        UserError: nothing has, or a plugin that might is broken.
    """
    found, last = [], None
    for kind in kinds:
        try:
            if (spec := registry().find(kind, name)) is not None:
                found.append((kind, spec, registry().origin(kind, name)))
        except UserError as error:
            last = error
    if found:
        return found
    if is_run(name):
        raise UserError(f"'{name}' is a run: type rsbench runs show {name}.")
    known = [n for k in kinds for n in registry().names(k)]
    near = [m for k in kinds for m in registry().namesakes(k, name)]
    broken = [f" Plugin problem: {p}." for p in registry().problems if p.fatal]
    hint = did_you_mean(name, known, near)
    raise last or UserError(f"There is nothing called '{name}'.{hint}{''.join(broken)}")


def is_run(name: str) -> bool:
    """Whether a run is called so, in the folder of runs."""
    from rsbench.engine.launch.run_folders import find_run

    with suppress(UserError, OSError):
        find_run(name, Path(os.environ.get("RSBENCH_OUT") or OUT))
        return True
    return False


def _described(spec: Spec) -> Iterator[str]:
    """Yield a sentence, the short facts one a line, and then what has parts of its own."""
    yield spec.summary
    known = [(f.name, getattr(spec, f.name)) for f in fields(spec) if f.name not in FOR_PROGRAMS]
    told = [(name.replace("_", " "), value) for name, value in known if value not in NOTHING]
    facts = [(name, value) for name, value in told if not isinstance(value, Mapping)]
    if facts:
        yield ""
        yield from _columns([[name, _text(value)] for name, value in facts])
    for name, value in told:
        if isinstance(value, Mapping):
            yield f"\n{name}"
            yield from (f"  {line}" for line in _parts(value))


def _parts(value: Mapping[str, Any]) -> Iterator[str]:
    if all(isinstance(one, Option) for one in value.values()):
        header = ("option", "default", "choices", "help")
        rows = [[n, _text(o.default), _text(o.choices or ()), o.help] for n, o in value.items()]
        yield from lines(header, rows, _width())
    else:
        yield from _columns([[str(name), _text(one)] for name, one in value.items()])


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Names and values; values are not cut but go on in the next line, below each other."""
    import textwrap

    first = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        wrapped = textwrap.wrap(text, max((_width() or 120) - first, 40)) or [""]
        yield f"{name:<{first}}{wrapped[0]}"
        yield from (" " * first + more for more in wrapped[1:])


def _width() -> int | None:
    width = terminal_width()
    return width and width - 2


def _text(value: Any) -> str:
    """A value as a person reads it."""
    if is_dataclass(value):
        told = ((f.name.replace("_", " "), getattr(value, f.name)) for f in fields(value))
        return ", ".join(f"{name} {_text(one)}" for name, one in told if one not in NOTHING)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_text(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        if value and all(hasattr(one, "name") for one in value):
            return ", ".join(str(one.name) for one in value)
        if value and is_dataclass(value[0]):
            return f"{len(value)}; --json has them all" if len(value) > FIRST else "; ".join(map(_text, value))
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
