"""``runs rm`` and ``runs clean``: what may go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsbench.cli import options
from rsbench.cli.human import size
from rsbench.errors import UserError

if TYPE_CHECKING:
    from rsbench.engine.launch.run_folders import RunFolder

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def rm(runs: options.RunNames, out: options.RunsOut = options.RUNS, yes: Yes = False) -> None:
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
    out: options.RunsOut = options.RUNS,
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
