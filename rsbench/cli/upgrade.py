"""``upgrade``: old records in the current form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rsbench.cli import lazy
from rsbench.cli.data import bar
from rsbench.errors import UserError
from rsbench.records.audit import Place
from rsbench.specs import load_attribute


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "upgrade", upgrade, chosen)


def upgrade(
    records: Annotated[list[Path], typer.Argument(help="Records or folders of them; links are followed.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")] = False,
    data_root: Annotated[Path | None, typer.Option(help="Where prepared datasets are. Default: $RSBENCH_DATA.")] = None,
) -> None:
    """Rewrite records of older versions in the current form.

    They get a digest; intervals are computed by the current methods from the stored predictions; multiply-accumulates
    are counted anew where the network can be built, else they are null.  No metric's value changes: a record in which
    one comes out differently is named and left as it is.  Each change is kept in the record's `amended` with what was
    there before.  A record that is current is not written.

    Examples:

      rsbench upgrade rsbench-results --dry-run

      rsbench upgrade rsbench-results
    """
    from rsbench.records.store import record_files

    files = record_files(records)
    changed, refused = 0, []
    with bar("Upgrading", "records") as progress:
        for number, file in enumerate(files, start=1):
            try:
                told = _one(file, dry_run, data_root)
            except UserError as error:
                refused.append(str(error))
                continue
            changed += told is not None
            if told is not None:
                typer.echo(told)
            progress(number, len(files))
    for problem in refused:
        typer.echo(f"rsbench: {problem} It is left as it is.", err=True)
    done = "would be upgraded" if dry_run else "upgraded"
    typer.echo(f"{changed} of {len(files)} records {done}, {len(files) - changed - len(refused)} current.")
    if refused:
        raise typer.Exit(1)


def _one(file: Path, dry_run: bool, data_root: Path | None) -> str | None:
    """Upgrade a record and return a line that says what changed; ``None`` where it is current."""
    from rsbench.records.renew import renewed
    from rsbench.records.store import LoadedRecord, load, rewrite
    from rsbench.records.verify import gather

    record = load(file)
    made = renewed(record, gather(LoadedRecord(file, record)), partial(_work, record, data_root))
    new = made["amended"][len(record["amended"]) :]
    if record["digest"] is not None and not new:
        return None
    if not dry_run:
        rewrite(made, file)
    return f"{made['run_id']}: {_told(new, sealed=record['digest'] is None)}"


def _work(record: Mapping[str, Any], data_root: Path | None) -> Mapping[Place, Any]:
    """What is counted anew of a record's ``perf``, by its place."""
    from rsbench.engine.run.recount import count_macs_of_plan
    from rsbench.records.measured import is_measured, runner_of

    if is_measured(record):
        runner = runner_of(record)
        return load_attribute(runner.recounted)(record) if runner and runner.recounted else {}
    perf = record["perf"] or {}
    if perf.get("macs") is None:
        return {}
    return {("macs",): count_macs_of_plan(record["plan"], perf.get("params"), data_root)}


def _told(changes: list[dict[str, Any]], *, sealed: bool) -> str:
    intervals = sum(change["field"].endswith(".ci95") for change in changes)
    words = ["sealed"] * sealed + [f"{intervals} interval{'s' * (intervals > 1)}"] * (intervals > 0)
    for change in changes:
        if change["field"].startswith("perf."):
            name = change["field"].removeprefix("perf.")
            words.append(f"{name} {change['was']} -> {'null' if change['now'] is None else change['now']}")
        elif change["field"] == "plan":
            words.append("its plan is not the one of its run id")
        elif not change["field"].startswith("metrics."):
            words.append(change["field"])
    return ", ".join(words)
