"""``throughput``: how fast networks are."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsbench.cli import complete, lazy, options
from rsbench.cli.how import takes
from rsbench.execution import COMPILE_FIXED, Execution
from rsbench.specs import PRECISIONS
from rsbench_throughput import record

if TYPE_CHECKING:
    from rsbench.cli.progress import OnEvent
    from rsbench.engine.launch.run_result import Outcome
    from rsbench.plan import RunPlan

MODES = (*record.MODES, "both")


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "throughput", throughput, chosen)


@takes("device", "threads", "out", "data_root")
def throughput(
    models: Annotated[list[str], typer.Argument(help="Models.", autocompletion=complete.names("model"))],
    task: Annotated[
        str | None, typer.Option(help="Default: the model's first.", autocompletion=complete.names("task"))
    ] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Default: those of EuroSAT, UCM or RSVQA-LR.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images in pixels. Default: the model's or the task's.")
    ] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Default: the model's, or 3.")] = None,
    batch: Annotated[str, typer.Option(help="auto: powers of two to the knee or to the end of memory; or 1,8,64.")] = (
        "auto"
    ),
    mode: Annotated[str, typer.Option(help=" | ".join(MODES), autocompletion=complete.among(MODES))] = "both",
    option: options.ModelOptions = None,
    precision: Annotated[
        str, typer.Option(help=" | ".join(PRECISIONS), autocompletion=complete.among(PRECISIONS))
    ] = "auto",
    compile_: Annotated[
        str, typer.Option("--compile", help=" | ".join(COMPILE_FIXED), autocompletion=complete.among(COMPILE_FIXED))
    ] = "none",
    quick: Annotated[
        bool, typer.Option("--quick", help="Short windows and batches up to 64; rows are flagged.")
    ] = False,
    how: Execution = Execution(),  # noqa: B008
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure images, captions or questions a second, in inference and training.

    Each network runs in a fresh process on random numbers that are on the device already: it is warmed up until
    steady and timed in windows with one synchronization each, at batches that double to the knee. Latency at batch 1,
    memory, MACs, the share of the device's matrix peak, energy and drift from eager fp32 come with it. Weights are
    random. Each measurement leaves a record; rsbench leaderboard --throughput sets them side by side.

    Examples:

      rsbench throughput tiny-cnn bmta timm:resnet18 --threads 1

      rsbench throughput timm:resnet50 --size 224 --precision bf16 --compile max-autotune

      rsbench throughput vgg19-lstm lobry2020 --mode inference --batch 1,16 --quick

      rsbench throughput spatialnet-vit --task vqa --classes 9 --json
    """
    from rsbench.config import parse_pairs
    from rsbench.engine.parallel.world import detect_launcher
    from rsbench.errors import UserError
    from rsbench_throughput.plan import ThroughputRequest, expand, parse_batches, parse_mode

    if detect_launcher() is not None:
        raise UserError("Throughput is that of one device: start one process, without torchrun or srun --ntasks.")
    plans = expand(
        ThroughputRequest(
            models=tuple(models),
            task=task,
            classes=classes,
            size=size,
            channels=channels,
            batches=parse_batches(batch),
            modes=parse_mode(mode),
            precision=precision,
            options=parse_pairs(option or [], "--option"),
            quick=quick,
            **Execution.of(how, compile=compile_),
        )
    )
    outcomes = _execute(plans, quiet or as_json)
    _show(outcomes, Path(how.out), as_json)


def _execute(plans: Sequence[RunPlan], quiet: bool) -> list[Outcome]:
    """Measure one plan after another, with progress on the terminal."""
    from rsbench.engine.launch.launch import run_plans

    with _reporter(plans, quiet) as on_event:
        return run_plans(plans, on_event=on_event)


def _show(outcomes: Sequence[Outcome], out: Path, as_json: bool) -> None:
    """Print the board of what was measured and exit with the right code."""
    from rsbench.cli.run import leave
    from rsbench.records.store import load_all
    from rsbench_throughput import render
    from rsbench_throughput.board import build

    board = build(load_all([o.record_path for o in outcomes if o.status == "ok" and o.record_path]))
    if as_json or board.tables:
        typer.echo(render.RENDER["json" if as_json else "terminal"](board), nl=False)
    leave(outcomes, out)


@contextmanager
def _reporter(plans: Sequence[RunPlan], quiet: bool) -> Iterator[OnEvent]:
    """Yield the receiver of the workers' events."""
    places = {plan.run_id: f"[{n}/{len(plans)}] {plan.model['label']}" for n, plan in enumerate(plans, start=1)}
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _bar(places) as on_event:
            yield on_event
    else:
        yield lambda event: _line(places[event["run_id"]], event)


def _line(place: str, event: dict[str, Any]) -> None:
    text = _text(event)
    if text and event["type"] != "stage":
        print(f"{place} {text}", file=sys.stderr, flush=True)


@contextmanager
def _bar(places: dict[str, str]) -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[state]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(places), state="starting")

        def on_event(event: dict[str, Any]) -> None:
            text = _text(event)
            if text:
                progress.update(task, description=places[event["run_id"]], state=text)
            if event["type"] == "done":
                progress.advance(task)

        yield on_event


def _text(event: dict[str, Any]) -> str:
    """One short phrase about an event; nothing about those of no interest here."""
    if event["type"] == "stage":
        return str(event["stage"])
    if event["type"] == "point":
        return f"{event['mode']}, batch {event['batch']}: {event['samples_per_s']:,.1f} {event['unit']}/s"
    if event["type"] == "warning":
        return f"warning: {event['text']}"
    if event["type"] == "done":
        return f"failed: {event['error']}" if event["status"] == "failed" else str(event["status"])
    return ""
