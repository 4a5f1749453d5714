"""What ``--dry-run`` does: finds what a start would, and says what would run."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rsbench import hardware, reading
from rsbench.engine.launch.launch import Launch, open_pool
from rsbench.engine.launch.ready import ensure_ready
from rsbench.engine.launch.run_result import folder_of
from rsbench.engine.training import resume
from rsbench.errors import UserError, UserErrors
from rsbench.execution import AUTO
from rsbench.metrics.display import duration
from rsbench.records import store

if TYPE_CHECKING:
    from rsbench.plan import RunPlan


def dry_run(plans: Sequence[RunPlan], out: Path, as_json: bool, launch: Launch | None = None) -> None:
    """Check and print plans without running any.

    Args:
        plans: what would run.
        out: the folder of records.
        as_json: print the plans and nothing else.
        launch: where they would run.

    Raises:
        UserErrors: what would stop them at their start.
    """
    try_weights(plans)
    check_machine(plans, out, launch or Launch())
    if as_json:
        typer.echo(json.dumps([p.to_dict() for p in plans], indent=1))
        return
    groups: dict[str, list[RunPlan]] = {}
    for plan in plans:
        groups.setdefault(configuration(plan.to_dict()), []).append(plan)
    earlier = _earlier(out)
    for number, (key, group) in enumerate(groups.items()):
        typer.echo("\n" * (number > 0) + f"{group[0].model['label']} on {group[0].dataset['name']}")
        for name, text in _facts(group, earlier.get(key)):
            typer.echo(f"  {name:<10}{text}")
        for plan in group:
            typer.echo(f"  {'run':<10}{plan.run_id}{_state(folder_of(plan))}")


def try_weights(plans: Sequence[RunPlan]) -> None:
    """See without a run whether the weights in files fit, and say what is taken of them."""
    with_files = {json.dumps(p.model, sort_keys=True): p for p in plans if p.model.get("weights_sha256")}
    for plan in with_files.values():
        from rsbench.engine.run.checkpoint_run import try_loading

        if taken := try_loading(plan):
            print(f"rsbench: {Path(plan.checkpoint or '').name}: {taken}.", file=sys.stderr)


def check_machine(plans: Sequence[RunPlan], out: Path, launch: Launch) -> None:
    """Look for the launcher and the devices, and whether records can be written.

    Raises:
        UserErrors: what is not there.
    """
    from rsbench.recipes import attempt

    problems: list[str] = []
    if launch != Launch():  # which is there, and would have to be imported
        attempt(problems, partial(_enter, launch, plans))
    for device in {plan.device for plan in plans} - {AUTO, "cpu"}:  # which are everywhere, and need no torch
        from rsbench.engine.training.device import select_device

        attempt(problems, partial(select_device, device))
    if (said := _unwritable(out)) is not None:
        problems.append(f"Records cannot be written to '{out}': {said}; choose another --out.")
    for plan in plans if said is None else ():
        attempt(problems, partial(_look_into, folder_of(plan)))
    if problems:
        raise UserErrors(problems)


def _enter(launch: Launch, plans: Sequence[RunPlan]) -> None:
    with open_pool(launch, plans):
        pass


def _look_into(folder: Path) -> None:
    """See whether a run can use its folder, and a finished one be shown."""
    try:
        ensure_ready(folder)
    except OSError as error:
        raise UserError(f"cannot use '{error.filename}': {error.strerror or error}.") from None
    if store.finished(folder):
        store.load(folder)


def _unwritable(folder: Path) -> str | None:
    """Say why no file can be made in a folder; ``None``: one can.  Folders that this makes are removed."""
    made: list[Path] = []
    try:
        made += [p for p in (folder, *folder.parents) if not p.exists()]
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
        yield "recipe", f"{recipe['name']}: {', '.join(_option(*item) for item in recipe['fit_options'].items())}"
    elif plan.checkpoint is None and model["kind"] == "network":
        schedule = f"{recipe['optimizer']}, lr {recipe['lr']:g} {recipe['schedule']}, loss {recipe['loss']}"
        yield "recipe", f"{recipe['name']}: {recipe['epochs']} epochs, batch {recipe['batch']}, {schedule}"
    threads = f"{plan.threads} threads" if plan.threads else f"up to {usable_cores()} threads"
    yield "device", f"{device}, {precision}" + (f", {threads}" if device == "cpu" else "")
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


def _option(name: str, value: Any) -> str:
    """An option and its value; of a list of numbers how many there are."""
    many = isinstance(value, list) and len(value) > 2
    return f"{name} {f'one of {len(value)}, {value[0]:g} to {value[-1]:g}' if many else value}"


def configuration(plan: dict[str, Any]) -> str:
    """What earlier runs must agree in to tell the time."""
    return json.dumps([plan["model"]["label"], plan["protocol"]["fingerprint"], plan["recipe"]], sort_keys=True)


def _earlier(out: Path) -> dict[str, float]:
    """Median seconds of finished runs in *out*, by configuration."""
    found: dict[str, list[float]] = {}
    for path in out.glob("*/record.json"):
        with suppress(KeyError, TypeError, ValueError, OverflowError):  # it is damaged
            record = reading.kept(path)
            if record["status"] == "ok" and isfinite(seconds := float(record["timing"]["total"])):
                found.setdefault(configuration(record["plan"]), []).append(seconds)
    if not found:
        return {}
    import statistics

    return {key: statistics.median(values) for key, values in found.items()}


def _state(folder: Path) -> str:
    """What is there of a run already."""
    if store.finished(folder):
        return " (finished; it is not run again)"
    return " (interrupted; it resumes)" if resume.exists(folder) else ""
