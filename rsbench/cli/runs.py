"""``runs``: what became of each run, and what may go."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from rsbench.cli import complete, lazy
from rsbench.cli.human import duration, local_time, size
from rsbench.errors import UserError, did_you_mean
from rsbench.foreign import printable
from rsbench.metrics.display import factor, shown

if TYPE_CHECKING:
    from rsbench.engine.launch.run_folders import RunFolder

STATES: Final = ("finished", "failed", "interrupted", "running", "damaged")
OUT: Final = Path("rsbench-results")
Out = Annotated[Path, typer.Option(help="Folder of the runs.", envvar="RSBENCH_OUT")]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Id of a run, the hash at its end, a beginning of either, or its folder.",
        autocompletion=complete.runs,
    ),
]
Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...", help="As rsbench runs shows them, or their folders.", autocompletion=complete.runs
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class ListsByDefault(TyperGroup):
    """Takes what is no command for the arguments of ``list``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Put ``list`` before them."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands."""
    from rsbench.cli.runs_show import log, show

    group = typer.Typer(cls=ListsByDefault, help="List runs and their states, show one, read its log, remove some.")
    commands = (("list", list_), ("show", show), ("log", log), ("rm", rm), ("clean", clean))
    for name, function in commands:
        lazy.add(group, name, function, None if chosen in (None, "runs") else "")
    app.add_typer(group, name="runs")


def list_(
    pattern: Annotated[str, typer.Argument(help="Only ids that match this shell pattern, or begin so.")] = "",
    state: Annotated[str | None, typer.Option(help=" | ".join(STATES), autocompletion=complete.among(STATES))] = None,
    out: Out = OUT,
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


def rm(runs: Runs, out: Out = OUT, yes: Yes = False) -> None:
    """Remove runs with all their files.

    Asks first.  Of finished and damaged ones, which may be all that is left of a result, the word 'remove' has to be
    typed, unless there is --yes.  A running one is never removed.

    Examples:

      rsbench runs rm 0b9f31c2

      rsbench runs rm rsbench-results/eurosat-tiny-cnn-in-domain-60-20-20-s0-0b9f31c2 --yes
    """
    from rsbench.engine.launch.run_folders import find_run

    found = {run.path.absolute(): run for run in (find_run(name, out) for name in runs)}
    if running := [run.run_id for run in found.values() if run.state == "running"]:
        raise UserError(f"{', '.join(running)} is running: end it first, by Ctrl-C where it was started.")
    _remove([*found.values()], (), yes)


def clean(
    out: Out = OUT,
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0.0, help="Remove interrupted runs that are older than this.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    yes: Yes = False,
) -> None:
    """Remove failed runs, interrupted runs that are old, and what killed processes have left of writing files.

    Finished, damaged and running ones stay.

    Examples:

      rsbench runs clean --dry-run

      rsbench runs clean --older-than 7 --yes
    """
    from rsbench.engine.launch.run_folders import runs_below
    from rsbench.files import abandoned

    before = (datetime.now(UTC) - timedelta(days=older_than)).strftime("%Y-%m-%dT%H:%M:%SZ")
    everything = runs_below(out)
    gone = [r for r in everything if r.state == "failed" or (r.state == "interrupted" and r.when <= before)]
    kept = [run.path for run in everything if run not in gone and run.state != "running"]
    files = [path for folder in (out, *kept) for path in abandoned(folder)]
    if not gone and not files:
        typer.echo(f"There is nothing to clean in {out}; it holds {_count(len(everything), 'run')}.")
        return
    _remove(gone, files, yes, dry_run)


def _remove(runs: Sequence[RunFolder], files: Sequence[Path], yes: bool, dry_run: bool = False) -> None:
    """Say what goes, ask, and remove it.

    Raises:
        UserError: another run lies below one of them.
    """
    for line in _told(runs, files):
        typer.echo(line)
    if dry_run:
        typer.echo("Nothing was removed.")
        return
    for run in runs:
        _require_alone(run)
    if not yes and not _agreed(runs):
        typer.echo("Nothing was removed.")
        raise typer.Exit(1)
    removed = sum(map(_remove_run, runs))
    for path in files:
        path.unlink(missing_ok=True)
    typer.echo(
        f"Removed {_count(removed, 'run')}" + (f" and {_count(len(files), 'temporary file')}." if files else ".")
    )
    if removed < len(runs):
        raise typer.Exit(1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _told(runs: Sequence[RunFolder], files: Sequence[Path]) -> Iterator[str]:
    for run in runs:
        yield f"{run.state:<11} {size(run.bytes):>7}  {run.path}"
    for path in files:
        yield f"{'temporary':<11} {size(path.lstat().st_size):>7}  {path}"


def _agreed(runs: Sequence[RunFolder]) -> bool:
    valuable = [run for run in runs if run.state not in ("failed", "interrupted")]
    try:
        if valuable:
            question = f"{len(valuable)} of these may be results. Type 'remove' to remove them"
            return bool(typer.prompt(question, default="", show_default=False).strip() == "remove")
        return typer.confirm("Remove these?")
    except typer.Abort:  # nobody is there to answer
        typer.echo("")
        raise UserError("Nobody answered; --yes removes without asking.") from None


def _require_alone(run: RunFolder) -> None:
    from rsbench.engine.launch.run_folders import runs_below

    others = [other.path for other in runs_below(run.path) if other.path != run.path]
    if others:
        raise UserError(f"{run.path} holds other runs, such as {others[0]}, and is not removed; name these.")


def _remove_run(run: RunFolder) -> bool:
    """Remove one run, if none has been started in its folder by now; of a folder that is a link the link."""
    from rsbench.engine.launch.run_folders import held

    with held(run) as free:
        if not free:
            typer.echo(f"rsbench: {run.run_id} is running by now and stays.", err=True)
            return False
        if run.path.is_symlink():
            run.path.unlink()
        else:
            shutil.rmtree(run.path)
    return True
