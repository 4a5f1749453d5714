"""``runs list``: all runs, newest first."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rsbench.cli import complete, options
from rsbench.cli.human import local_time, size
from rsbench.errors import UserError, did_you_mean
from rsbench.foreign import printable
from rsbench.metrics.display import duration, factor, shown

if TYPE_CHECKING:
    from rsbench.engine.launch.run_folders import RunFolder

STATES: Final = ("finished", "failed", "interrupted", "running", "damaged")


def list_(
    pattern: Annotated[str, typer.Argument(help="Only ids that match this shell pattern, or begin so.")] = "",
    state: Annotated[str | None, typer.Option(help=" | ".join(STATES), autocompletion=complete.among(STATES))] = None,
    out: options.RunsOut = options.RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """List runs, newest first: state, score, training time, size on disk.

    The hash in the first column names a run wherever RUN is asked for.  Where the terminal is narrow, columns are left
    out, one after another, but never the name.

    Examples:

      rsbench runs

      rsbench runs --state failed

      rsbench runs 'eurosat-timm-*' --json
    """
    from rsbench.engine.launch.run_folders import runs_below

    if state not in (None, *STATES):
        raise UserError(f"'{state}' is no state.{did_you_mean(state, STATES)} States: {', '.join(STATES)}.")
    everything = runs_below(out)
    found = [run for run in everything if state in (None, run.state) and _fits(run, pattern)]
    if as_json:
        typer.echo(json.dumps([facts(run) for run in found], indent=1))
        return
    if not found:
        which = " ".join(filter(None, [state or "", "runs", f"like '{pattern}'" if pattern else ""]))
        known = did_you_mean(pattern, ("list", "show", "log", "rm", "clean")) if pattern else ""
        typer.echo(f"There are no {which} among the {len(everything)} in {out}.{known}")
        return
    _print_table([_row(run) for run in found])
    states = ", ".join(f"{n} {s}" for s in STATES if (n := sum(run.state == s for run in found)))
    typer.echo(f"{states}; {size(sum(run.bytes for run in found))} in {out}.")
    if sys.stdout.isatty():
        typer.echo(f"Next: rsbench runs show {found[0].short}; rsbench runs --help has the rest.")


def _fits(run: RunFolder, pattern: str) -> bool:
    return fnmatchcase(run.run_id, f"{pattern}*") or run.short.startswith(pattern)


def facts(run: RunFolder) -> dict[str, Any]:
    """What a program wants to know of a run; ``None`` where it is not known."""
    plan, record = run.plan, run.record or {}
    primary = run.primary or {}
    return {
        "run_id": run.run_id,
        "folder": str(run.path),
        "state": run.state,
        "resumable": run.resumable,
        "model": plan.get("model", {}).get("label"),
        "task": plan.get("task"),
        "dataset": plan.get("dataset", {}).get("name"),
        "protocol": plan.get("protocol", {}).get("name"),
        "recipe": plan.get("recipe", {}).get("name"),
        "division": plan.get("division"),
        "seed": plan.get("seed"),
        "metric": primary.get("name"),
        "score": primary.get("value"),
        "ci95": primary.get("ci95"),
        "unit": primary.get("unit"),
        "train_seconds": (record.get("train") or {}).get("seconds"),
        "seconds": record.get("timing", {}).get("total"),
        "bytes": run.bytes,
        "when": run.when,
        "problem": run.problem or None,
    }


# Headings in their order, and in that in which a narrow terminal drops them; never the first three.
COLUMNS: Final = ("run", "model", "state", "score", "metric", "dataset", "protocol", "seed", "training", "size", "when")
DROPPED: Final = ("protocol", "size", "training", "when", "metric", "seed", "dataset", "score")
LEFT: Final = ("run", "model", "state", "metric", "dataset", "protocol", "when")
MODEL: Final = 24  # letters of a model's label before columns are dropped for it


def _row(run: RunFolder) -> dict[str, str]:
    known = facts(run)
    state = run.state + (" (resumable)" if run.state == "interrupted" and run.resumable else "")
    score = ""
    if (primary := run.primary) is not None:
        sign = factor(primary["unit"])[1]
        score = f"{shown(primary['value'], primary['unit'])}{' ' if sign else ''}{sign}"
    return {
        "run": run.short,
        "model": known["model"] or run.run_id,
        "state": state,
        "score": score,
        "metric": known["metric"] or "",
        "dataset": known["dataset"] or "",
        "protocol": known["protocol"] or "",
        "seed": "" if known["seed"] is None else str(known["seed"]),
        "training": "" if known["train_seconds"] is None else duration(known["train_seconds"]),
        "size": size(run.bytes),
        "when": local_time(run.when),
    }


def _print_table(rows: Sequence[dict[str, str]]) -> None:
    """Draw with rich; a line a run where the output is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    names = [name for name in COLUMNS if name in LEFT[:3] or any(row[name] for row in rows)]
    if not console.is_terminal and "COLUMNS" not in console._environ:
        console = Console(highlight=False, width=_width(rows, names, whole=True))
    dropped = iter(DROPPED)
    while _width(rows, names) > console.width and (name := next(dropped, None)):
        names = [kept for kept in names if kept != name]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        left = name in LEFT
        table.add_column(
            name, justify="left" if left else "right", no_wrap=name not in ("model", "state"), overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(printable(row[name])) for name in names))
    console.print(table)


def _width(rows: Sequence[dict[str, str]], names: Sequence[str], *, whole: bool = False) -> int:
    """Letters that a table takes; long labels of models may be folded, unless it is to be *whole*."""
    longest = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    if not whole:
        longest["model"] = min(longest["model"], MODEL)
        longest["state"] = min(longest["state"], len(STATES[2]))
    return sum(longest.values()) + 3 * len(names)
