"""``list``: what there is, one line each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from typing import Annotated, Any, Final

import typer

from rsbench.cli import lazy
from rsbench.cli.text_table import lines, terminal_width
from rsbench.errors import UserError, did_you_mean, first_of
from rsbench.registry import KINDS, registry

PLURALS: Final = {{"claims": "claims", "loss": "losses"}.get(kind, f"{kind}s"): kind for kind in KINDS}
OBSERVERS: Final = "observers"  # plugins that are told of runs; they have no specs


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "list", list_, chosen)


def kind_of(name: str) -> str:
    """Return the kind that a word of the user's means, singular or plural."""
    kind = PLURALS.get(name, name)
    if kind not in KINDS:
        known = [*PLURALS, OBSERVERS]
        raise UserError(f"'{name}' is not a kind.{did_you_mean(name, known)} Kinds: {', '.join(known)}.")
    return kind


def _count(number: int | None) -> str:
    """A number of parameters or samples; nothing where it is not known."""
    if number is None:
        return ""
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number:,}"


def _input(model: Any) -> str:
    """What a model takes."""
    accepts = model.accepts
    bands = "" if accepts.channels is None else f"{accepts.channels} bands"
    size = f"{accepts.size} px" if accepts.size else f"from {accepts.min_size} px" if accepts.min_size > 1 else ""
    return ", ".join(filter(None, (bands, size)))


def _better(metric: Any) -> str:
    return {True: "higher", False: "lower", None: ""}[metric.higher_is_better]


Column = tuple[str, Callable[[Any], str]]
TASKS: Final[Column] = ("tasks", lambda s: ", ".join(s.tasks))

# What tells the specs of one kind apart, between their names and their summaries.
COLUMNS: Final[dict[str, Sequence[Column]]] = {
    "model": (
        TASKS,
        ("parameters", lambda s: _count(s.params)),
        ("input", _input),
        ("pretrained on", lambda s: s.pretrained_on or ""),
    ),
    "dataset": (
        TASKS,
        ("samples", lambda s: _count(s.samples)),
        ("classes", lambda s: str(len(s.classes) or "")),
        ("pixels", lambda s: str(s.image_size)),
    ),
    "loss": (TASKS,),
    "metric": (TASKS, ("unit", lambda s: s.unit), ("better", _better)),
    "protocol": (
        ("dataset", lambda s: s.dataset),
        ("task", lambda s: s.task),
        ("primary metric", lambda s: s.primary),
    ),
    "recipe": (
        TASKS,
        ("epochs", lambda s: "" if s.fit else str(s.epochs)),
        ("batch", lambda s: "" if s.fit else str(s.batch)),
        ("optimizer", lambda s: "" if s.fit else s.optimizer),
        ("loss", lambda s: s.loss),
    ),
    "claims": (("dataset", lambda s: s.dataset), ("numbers", lambda s: str(len(s.rows)))),
}


def list_(
    kind: Annotated[
        str,
        typer.Argument(help=" | ".join([*PLURALS, OBSERVERS]), autocompletion=lambda: [*PLURALS, OBSERVERS]),
    ] = "",
    pattern: Annotated[str, typer.Argument(help="Names by shell pattern, such as 'timm:resnet*'.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what is installed of one kind; without one, the kinds.

    Examples: rsbench list; rsbench list models; rsbench list models 'timm:resnet*'; rsbench list protocols --json
    """
    if kind in ("", OBSERVERS):
        header, rows = _observers() if kind else _kinds()
    else:
        header, rows = _specs(kind_of(kind), pattern, kind)
    if as_json:
        typer.echo(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=1))
        return
    for line in lines(header, rows, terminal_width()):
        typer.echo(line)


def _kinds() -> tuple[list[str], list[list[str]]]:
    """The kinds, how many there are of each, and some of them."""
    found = registry()
    named = [(plural, found.names(kind)) for plural, kind in PLURALS.items()] + [(OBSERVERS, found.observers())]
    return ["kind", "number", "names"], [[plural, str(len(names)), first_of(names)] for plural, names in named]


def _observers() -> tuple[list[str], list[list[str]]]:
    found = registry()
    rows = [[name, found.plugins[name].distribution, f"rsbench run --observer {name}"] for name in found.observers()]
    return ["name", "distribution", "use"], rows


def _specs(kind: str, pattern: str, typed: str) -> tuple[list[str], list[list[str]]]:
    """Specs of a kind by pattern, or the members of a family."""
    found = registry().specs(kind)
    prefix, colon, rest = pattern.partition(":")
    columns = COLUMNS.get(kind, ())
    header = ["name", *(name for name, _ in columns), "summary"]
    if colon:
        family = found.get(f"{prefix}:*")
        if family is None or not family.members:
            raise UserError(f"There is no family '{prefix}:*' of {typed}.")
        found = {name: _resolved(kind, name) for name in registry().members(kind, prefix, rest or "*")}
    else:
        found = {name: spec for name, spec in sorted(found.items()) if fnmatch(name, pattern or "*")}
    blank = [*("" for _ in columns), ""]
    return header, [
        [name, *([*(get(s) for _, get in columns), s.summary] if s is not None else blank)] for name, s in found.items()
    ]


def _resolved(kind: str, name: str) -> Any:
    """The spec of a family's member; ``None`` where it has none after all, which is said when it is asked for."""
    with suppress(UserError):
        return registry().get(kind, name)
