"""``plugins``: what is installed, a new one, and whether one keeps its word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rsbench.cli import complete, lazy
from rsbench.cli.listing import PLURALS
from rsbench.errors import UserError, did_you_mean, first_of
from rsbench.registry import KINDS, Registry, registry

NEW_KINDS = ("model", "dataset", "loss", "metric", "task")
SIGNS = {"passed": "ok", "skipped": "skipped", "expected": "expected", "failed": "FAULT", "unexpected": "FAULT"}


NAMED = 6  # of a kind
UNCOUNTED = {"commands": "rsbench_commands", "facts": "rsbench_environment"}  # what is known when it is called


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands."""
    group = typer.Typer(help=list_.__doc__)
    group.callback(invoke_without_command=True)(list_)
    for name, function in (("new", new), ("check", check)):
        lazy.add(group, name, function, None if chosen in (None, "plugins") else "")
    app.add_typer(group, name="plugins")


def _installed(incomplete: str) -> list[str]:
    return [name for name in sorted(registry().plugins) if name.startswith(incomplete)]


def list_(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List plugins, what each gives, and what is wrong with any; start a new one; check one.

    Examples: rsbench plugins; rsbench plugins new my-net --kind model; rsbench plugins check my-net
    """
    if context.invoked_subcommand is not None:
        return
    found = registry()
    rows = [_row(found, name) for name in sorted(found.plugins)]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    plural = {kind: name for name, kind in PLURALS.items()}
    for row in rows:
        typer.echo(f"{row['plugin']:<12} {row['distribution']} {row['version']}{'' if row['gives'] else ': nothing'}")
        for kind, names in row["gives"].items():
            told = kind if kind in UNCOUNTED else f"{plural.get(kind, kind + 's')}: {first_of(names, NAMED)}"
            typer.echo(f"{'':<12} {told}")
        for problem in row["problems"]:
            typer.echo(f"{'':<12} problem: {problem}")


def _row(found: Registry, name: str) -> dict[str, Any]:
    """What one plugin is, gives and does wrong."""
    origin, counts = found.plugins[name], {}
    for kind in KINDS:
        own = [n for n in found.names(kind) if found.origin(kind, n).plugin == name]
        if own:
            counts[kind] = own
    if name in found.observers():
        counts["observer"] = [name]
    for what, hook in UNCOUNTED.items():
        if any(other.plugin == name for other, _ in found.callers(hook)):
            counts[what] = [name]
    problems = [p.error for p in found.problems if p.plugin == name]
    entry = {"plugin": name, "distribution": origin.distribution, "version": origin.version}
    return {**entry, "gives": counts, "problems": problems}


def new(
    name: Annotated[str, typer.Argument(help="Name of the plugin and of what it gives, such as my-net.")],
    kind: Annotated[str, typer.Option(help=" | ".join(NEW_KINDS), autocompletion=complete.among(NEW_KINDS))] = "model",
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: rsbench-NAME here.")] = None,
) -> None:
    """Write a package that works: install it, test it, and change it into your own.

    Examples: rsbench plugins new my-net; rsbench plugins new my-loss --kind loss --out packages/my-loss
    """
    from rsbench.scaffold import write

    if kind not in NEW_KINDS:
        raise UserError(f"'{kind}' is not one of {', '.join(NEW_KINDS)}.{did_you_mean(kind, NEW_KINDS)}")
    folder = write(name, kind, out)
    typer.echo(f"Wrote {folder}. Next:")
    for line in (f"pip install -e {folder}", f"rsbench plugins check {name}", f"python -m pytest {folder}"):
        typer.echo(f"  {line}")
    typer.echo(f"  and what {folder / 'README.md'} says about training with it")


def check(
    name: Annotated[str, typer.Argument(help="An installed plugin.", autocompletion=_installed)],
    only: Annotated[str, typer.Option(help="Only 'kind/name/check' that match this shell pattern.")] = "*",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what passed, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the conformance kit on a plugin; exit with 1 where it finds a fault.

    Examples: rsbench plugins check my-net; rsbench plugins check scenes --only 'dataset/*' --verbose
    """
    from rsbench.testing.contract import BAD
    from rsbench.testing.run import cases

    found = cases(name, only)
    if not found:
        raise UserError(f"No check of plugin '{name}' matches '{only}'; patterns are such as 'model/*/gradients'.")
    results = []
    for case in found:
        results.append(case.run())
        if not as_json and (verbose or results[-1].outcome != "passed"):
            _show(results[-1].to_dict())
    bad = [result for result in results if result.outcome in BAD]
    if as_json:
        typer.echo(json.dumps([result.to_dict() for result in results], indent=1))
    else:
        counts = {o: sum(r.outcome == o for r in results) for o in SIGNS}
        typer.echo(f"{name}: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n))
    if bad:
        raise typer.Exit(1)


def _show(result: dict[str, str]) -> None:
    typer.echo(f"{SIGNS[result['outcome']]:<9}{result['case']}" + (f": {result['detail']}" if result["detail"] else ""))
    if result["remedy"]:
        typer.echo(f"{'':<9}why: {result['reason']}\n{'':<9}what to do: {result['remedy']}")
