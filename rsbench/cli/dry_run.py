"""What ``--dry-run`` does: finds what a start would, and says what would run."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rsbench import hardware, reading
from rsbench.errors import UserErrors
from rsbench.execution import AUTO
from rsbench.metrics.display import duration

if TYPE_CHECKING:
    from rsbench.plan import RunPlan


def dry_run(plans: Sequence[RunPlan], out: Path, as_json: bool) -> None:
    """Check and print plans without running any.

    Args:
        plans: what would run.
        out: the folder of records.
        as_json: print the plans and nothing else.

    Raises:
        UserErrors: what would stop them at their start.
    """
    try_weights(plans)
    check_machine(plans, out)
    if as_json:
        typer.echo(json.dumps([p.to_dict() for p in plans], indent=1))
        return
    groups: dict[str, list[RunPlan]] = {}
    for plan in plans:
        groups.setdefault(_configuration(plan.to_dict()), []).append(plan)
    earlier, status = _earlier(out)
    for number, (key, group) in enumerate(groups.items()):
        typer.echo("\n" * (number > 0) + f"{group[0].model['label']} on {group[0].dataset['name']}")
        for name, text in _facts(group, earlier.get(key)):
            typer.echo(f"  {name:<10}{text}")
        for plan in group:
            typer.echo(f"  {'run':<10}{plan.run_id}{status.get(plan.run_id, '')}")


def try_weights(plans: Sequence[RunPlan]) -> None:
    """See without a run whether the weights in files fit, and say what is taken of them."""
    with_files = {json.dumps(p.model, sort_keys=True): p for p in plans if p.model.get("weights_sha256")}
    for plan in with_files.values():
        from rsbench.engine.run.checkpoint_run import try_loading

        if taken := try_loading(plan):
            print(f"rsbench: {Path(plan.checkpoint or '').name}: {taken}.", file=sys.stderr)


def check_machine(plans: Sequence[RunPlan], out: Path) -> None:
    """Look for the devices, and whether records can be written.

    Raises:
        UserErrors: what is not there.
    """
    from rsbench.recipes import attempt

    problems: list[str] = []
    for device in {plan.device for plan in plans} - {AUTO, "cpu"}:  # which are everywhere, and need no torch
        from rsbench.engine.training.device import select_device

        attempt(problems, partial(select_device, device))
    if (said := _unwritable(out)) is not None:
        problems.append(f"Records cannot be written to '{out}': {said}; choose another --out.")
    if problems:
        raise UserErrors(problems)


def _unwritable(folder: Path) -> str | None:
    """Say why no file can be made in a folder; ``None``: one can.  Folders that this makes are removed."""
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return error.strerror or str(error)
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()
    return None


def _facts(group: Sequence[RunPlan], seconds: float | None) -> Iterator[tuple[str, str]]:
    """What is to be known of runs that differ in their seeds alone."""
    from rsbench.cores import usable_cores

    plan = group[0]
    model, recipe, sizes = plan.model, plan.recipe, plan.protocol["split_sizes"]
    device, precision = _place(plan.device, recipe["precision"])
    params = f", {model['params']:,} parameters" if model.get("params") else ""
    yield "model", f"{model['name']} ({model['distribution']} {model['distribution_version']}){params}"
    yield "protocol", f"{plan.protocol['name']}, fingerprint {plan.protocol['fingerprint'][:16]}"
    yield "data", f"{sizes['train']:,} train, {sizes['val']:,} val, {sizes['test']:,} test"
    if plan.checkpoint is None and recipe.get("fit"):
        yield "recipe", f"{recipe['name']}: {', '.join(f'{k} {v}' for k, v in recipe['fit_options'].items())}"
    elif plan.checkpoint is None and model["kind"] == "network":
        schedule = f"{recipe['optimizer']}, lr {recipe['lr']:g} {recipe['schedule']}, loss {recipe['loss']}"
        yield "recipe", f"{recipe['name']}: {recipe['epochs']} epochs, batch {recipe['batch']}, {schedule}"
    threads = f", {plan.threads or usable_cores()} threads" if device == "cpu" else ""
    yield "device", f"{device}, {precision}{threads}"
    yield "division", plan.division
    many = f"; {len(group)} runs, one after another {duration(seconds * len(group))}" if seconds and group[1:] else ""
    yield "time", f"about {duration(seconds)} by earlier runs{many}" if seconds else "not known before a first run"


def _place(device: str, precision: str) -> tuple[str, str]:
    """Return the device and precision that a run would choose, without torch where it could find a CPU alone."""
    if device == "cpu" or (device == AUTO and not hardware.can_have_gpu()):
        return "cpu", hardware.cpu_precision(precision)
    from rsbench.engine.training.device import select_device, select_precision

    chosen = select_device(device)
    return str(chosen), select_precision(precision, chosen)


def _configuration(plan: dict[str, Any]) -> str:
    """What earlier runs must agree in to tell the time."""
    return json.dumps([plan["model"]["label"], plan["protocol"]["fingerprint"], plan["recipe"]], sort_keys=True)


def _earlier(out: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Median seconds of finished runs in *out*, by configuration; and what is there already, by run."""
    found: dict[str, list[float]] = {}
    status: dict[str, str] = {}
    for path in out.glob("*/record.json"):
        with suppress(KeyError, TypeError):  # it is damaged
            record = reading.kept(path)
            if record["status"] == "ok":
                found.setdefault(_configuration(record["plan"]), []).append(record["timing"]["total"])
                status[record["run_id"]] = " (finished; it is not run again)"
    for path in out.glob("*/resume.pt"):
        status.setdefault(os.path.basename(path.parent), " (interrupted; it resumes)")
    if not found:
        return {}, status
    import statistics

    return {key: statistics.median(values) for key, values in found.items()}, status
