"""``list`` and ``show``: what there is."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from rsbench.cli import lazy
from rsbench.errors import UserError, did_you_mean
from rsbench.foreign import in_one_line
from rsbench.registry import KINDS, registry
from rsbench.specs import to_jsonable

PLURALS = {{"claims": "claims", "loss": "losses"}.get(kind, f"{kind}s"): kind for kind in KINDS}


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands."""
    for name, function in (("list", list_), ("show", show)):
        lazy.add(app, name, function, chosen)


def _kind(name: str) -> str:
    kind = PLURALS.get(name, name)
    if kind not in KINDS:
        raise UserError(f"'{name}' is not a kind.{did_you_mean(name, PLURALS)} Kinds: {', '.join(PLURALS)}.")
    return kind


def list_(
    kind: Annotated[str, typer.Argument(help=" | ".join(PLURALS), autocompletion=lambda: list(PLURALS))],
    pattern: Annotated[str, typer.Argument(help="Members of a family by shell pattern, such as timm:resnet*.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what is installed of one kind.

    Examples: rsbench list models; rsbench list models 'timm:resnet*'; rsbench list protocols --json
    """
    found = registry().specs(_kind(kind))
    rows = sorted((s.name, s.summary) for s in found.values())
    prefix, colon, rest = pattern.partition(":")
    if colon:
        family = found.get(f"{prefix}:*")
        if family is None or not family.members:
            raise UserError(f"There is no family '{prefix}:*' of {kind}.")
        rows = [(member, "") for member in registry().members(_kind(kind), prefix, rest or "*")]
    elif pattern:
        from fnmatch import fnmatch

        rows = [r for r in rows if fnmatch(r[0], pattern)]
    if as_json:
        typer.echo(json.dumps([{"name": n, "summary": s} for n, s in rows], indent=1))
        return
    width = max((len(n) for n, _ in rows), default=0)
    for name, summary in rows:
        typer.echo(f"{name:<{width}}  {in_one_line(summary)}".rstrip())


def show(
    name: Annotated[str, typer.Argument(help="Name of anything that rsbench list shows.")],
    kind: Annotated[str | None, typer.Option(help="Kind, where a name has several.")] = None,
) -> None:
    """Show all that is declared about a name, as JSON.

    Examples: rsbench show bmta; rsbench show in-domain-60-20-20; rsbench show timm:resnet18
    """
    kinds = [_kind(kind)] if kind else list(KINDS)
    found, last = [], None
    for k in kinds:
        try:
            spec, origin = registry().get(k, name), registry().origin(k, name)
        except UserError as error:
            last = error
            continue
        found.append({"kind": k, "plugin": origin.plugin, "distribution": origin.distribution, **to_jsonable(spec)})
    if not found:
        known = [n for k in kinds for n in registry().names(k)]
        broken = [f" Plugin problem: {p}." for p in registry().problems if p.fatal]
        text = f"There is nothing called '{name}'.{did_you_mean(name, known)}{''.join(broken)}"
        raise last if kind and last else UserError(text)
    for entry in found:
        typer.echo(json.dumps(entry, indent=1))
