"""``runs show`` and ``runs log``: one run, for people."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rsbench.cli import options
from rsbench.cli.human import local_time, size
from rsbench.cli.runs_list import facts
from rsbench.errors import UserError
from rsbench.foreign import printable
from rsbench.metrics.display import duration, factor, shown
from rsbench.recipes import changes_of
from rsbench.records.curve import told

if TYPE_CHECKING:
    from rsbench.engine.launch.run_folders import RunFolder

NAMES: Final = 12  # letters of the first column
TAIL: Final = 5  # lines of the log of a run without a record


def show(
    run: options.RunName,
    out: options.RunsOut = options.RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the whole record.")] = False,
) -> None:
    """Show one run: plan, changes of the recipe, scores, curve, files, environment, and what to type next.

    Examples:

      rsbench runs show 0b9f31c2

      rsbench runs show rsbench-results/RUN --json
    """
    from rsbench.engine.launch.run_folders import find_run

    found = find_run(run, out)
    if as_json:
        files = {str(path): path.lstat().st_size for path in found.files}
        plan = None if found.record else found.plan
        typer.echo(json.dumps(facts(found) | {"files": files, "plan": plan, "record": found.record}, indent=1))
        return
    for line in _lines(found):
        typer.echo(printable(line))


def log(run: options.RunName, out: options.RunsOut = options.RUNS) -> None:
    """Print a run's log: settings, stages, epochs, warnings, and what the run printed.

    Examples:

      rsbench runs log 0b9f31c2

      rsbench runs log 0b9f31c2 | tail
    """
    from rsbench.engine.launch.run_folders import find_run

    found = find_run(run, out)
    text = _log_of(found)
    if not text:
        raise UserError(f"{found.run_id} has no log: it was run elsewhere, or by an older rsbench.")
    typer.echo(text, nl=not text.endswith("\n"))


def _log_of(run: RunFolder) -> str:
    from rsbench.engine.parallel.world import LOG
    from rsbench.files import regular

    try:
        return regular(run.path / LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _lines(run: RunFolder) -> Iterator[str]:
    """Yield all that a person wants to know."""
    yield run.run_id
    yield from _pairs([("state", _state(run)), *_plan(run)])
    record = run.record or {}
    yield from _headed("scores", _scores(record.get("metrics") or {}))
    yield from _headed("training", _training(record))
    bad = [f"{check['name']}: {check['detail']}" for check in record.get("checks", ()) if not check["ok"]]
    yield from _headed("checks that failed", bad)
    if run.state in ("failed", "interrupted") and (said := _log_of(run)):
        yield from _headed("end of its log", said.splitlines()[-TAIL:])
    yield from _headed("files", [f"{size(p.lstat().st_size):>7}  {p}" for p in run.files if not p.name.startswith(".")])
    yield from _headed("environment", _environment(record.get("env") or {}))
    yield from _headed("next", _next(run))


def _headed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"\n{title}"
        yield from (f"  {line}" for line in lines)


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Names and values; a long value goes on below itself."""
    width = max(shutil.get_terminal_size().columns - NAMES - 2, 40)
    for name, text in pairs:
        first, *rest = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
        yield f"  {name:<{NAMES}}{first}"
        yield from (f"  {'':<{NAMES}}{line}" for line in rest)


def _state(run: RunFolder) -> str:
    started = f"{run.state}, {local_time(run.when)}"
    if run.state == "interrupted":
        return f"{started}; " + ("its command resumes it" if run.resumable else "nothing is saved of its training")
    total = (run.record or {}).get("timing", {}).get("total")
    took = "" if total is None else f", took {duration(total)}"
    return f"{started}{took}" + (f": {run.problem}" if run.problem else "")


def _plan(run: RunFolder) -> list[tuple[str, str]]:
    plan = run.plan
    if not plan:
        return [("folder", str(run.path))]
    model, protocol, recipe = plan["model"], plan["protocol"], plan.get("recipe") or {}
    sizes = ", ".join(f"{n} {split}" for split, n in (protocol.get("split_sizes") or {}).items())
    package = " ".join(filter(None, [model.get("distribution"), model.get("distribution_version")]))
    changed = ", ".join(f"{name}={value}" for name, value in changes_of(recipe).items())
    by_epochs = recipe.get("name") and not recipe.get("fit")
    asked = f"{recipe.get('epochs', '?')} epochs, batch {recipe.get('batch', '?')}" if by_epochs else ""
    found = [
        ("folder", str(run.path)),
        ("command", plan.get("command") or ""),
        ("model", model["label"] + (f" ({package})" if package else "")),
        ("data", f"{plan['dataset']['name']}, protocol {protocol['name']}" + (f": {sizes}" if sizes else "")),
        ("recipe", ": ".join(filter(None, [recipe.get("name"), asked]))),
        ("changes", changed),
        ("division", f"{plan['division']}, seed {plan['seed']}"),
    ]
    return [(name, text) for name, text in found if text]


def _scores(metrics: Mapping[str, Any]) -> list[str]:
    """A line a metric, the primary first."""
    order = sorted(metrics.items(), key=lambda item: not item[1].get("primary"))
    width = max(map(len, metrics), default=0)
    lines = []
    for name, entry in order:
        sign = factor(entry["unit"])[1]
        value = f"{shown(entry['value'], entry['unit'])}{' ' if sign else ''}{sign}"
        interval = "95 % CI {} to {}".format(*(shown(v, entry["unit"]) for v in entry["ci95"])) if entry["ci95"] else ""
        lines.append(f"{name:<{width}}  {value:>12}  {interval or entry.get('note') or ''}".rstrip())
    return lines


def _training(record: Mapping[str, Any]) -> list[str]:
    train, perf = record.get("train") or {}, record.get("perf") or {}
    if not train:
        return []
    speed = perf.get("train_samples_per_s")
    lines = [
        f"{train['epochs']} epochs, {train['steps']} steps in {duration(train['seconds'])}"
        + (f", {speed:.0f} samples/s" if speed else "")
        + (f"; {perf['params']:,} parameters" if perf.get("params") else "")
    ]
    curve = train.get("curve") or []
    chosen = train.get("selected_epoch")
    for epoch in dict.fromkeys([1, chosen, len(curve)]):
        if epoch and epoch <= len(curve):
            lines.append(f"epoch {epoch}: {told(curve[epoch - 1])}" + (", selected" if epoch == chosen else ""))
    return lines


def _environment(env: Mapping[str, Any]) -> list[str]:
    device, flags = env.get("device") or {}, env.get("flags") or {}
    known = [
        f"rsbench {env['rsbench']}" if env.get("rsbench") else "",
        f"Python {env['python']}" if env.get("python") else "",
        f"torch {env['packages']['torch']}" if (env.get("packages") or {}).get("torch") else "",
        f"on {device['name']}" if device.get("name") else "",
        f"precision {flags['precision']}" if flags.get("precision") else "",
        f"{flags['threads']} threads" if flags.get("threads") else "",
    ]
    text = ", ".join(filter(None, known))
    return [text] if text else []


def _next(run: RunFolder) -> list[str]:
    """Commands that make sense of a run in this state."""
    if run.state == "finished":
        kept = "checkpoint" in (run.record or {}).get("artifacts", {})
        return [
            *([f"rsbench predict {run.short} IMAGES"] if kept else []),
            f"rsbench leaderboard {run.path.parent}",
            f"rsbench verify {run.path}",
            f"rsbench export {run.path} --to hf",
        ]
    if run.state == "running":
        return [f"rsbench runs log {run.short}"]
    again = [str(run.plan["command"])] if run.plan.get("command") else []
    return [*again, f"rsbench runs log {run.short}", f"rsbench runs rm {run.short}"]
