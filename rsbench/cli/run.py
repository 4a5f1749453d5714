"""``run``: train and evaluate."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rsbench import reading
from rsbench.cli import complete, hints, lazy, options
from rsbench.cli.how import Doing, takes
from rsbench.cli.measure import measure
from rsbench.errors import UserError
from rsbench.execution import Execution

if TYPE_CHECKING:
    from rsbench.engine.launch.launch import Launch
    from rsbench.engine.launch.run_result import Outcome
    from rsbench.plan import RunPlan

MISTAKES: Final = ("UserError", "UserErrors", "NotPrepared")  # errors in a record that are the user's to mend


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "run", run, chosen)


@takes()
def run(
    models: Annotated[
        str | None, typer.Argument(help="Model, or several with commas.", autocompletion=complete.names("model"))
    ] = None,
    dataset: Annotated[str | None, typer.Argument(help="Dataset.", autocompletion=complete.names("dataset"))] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Default: the dataset's own.", autocompletion=complete.protocols)
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Default: the protocol's standard one. 'author' is the model's own.",
            autocompletion=complete.recipes,
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Such as 3, 0-4 or 0,2,5. Default: the protocol's.")] = None,
    set_: options.Changes = None,
    option: options.ModelOptions = None,
    weights: options.Weights = None,
    backbone: options.Backbone = None,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    lr: options.LearningRate = None,
    suite: Annotated[Path | None, typer.Option(help="A YAML file of runs.")] = None,
    precision: options.Precision = None,
    overfit: options.Overfit = None,
    train_fraction: options.TrainFraction = None,
    shots: options.Shots = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="RUN", help="Start from the weights of this finished run.", autocompletion=complete.runs
        ),
    ] = None,
    how: Execution = Execution(),  # noqa: B008
    where: Any = None,
    measured: Annotated[
        bool, typer.Option("--measure", help="With --dry-run: time some steps of each configuration.")
    ] = False,
    doing: Doing = Doing(),  # noqa: B008
) -> None:
    """Train and evaluate models on a dataset; without arguments, the demo.

    Each run leaves a record with its predictions in OUT/<run id>; a finished run is not run again, and an interrupted
    one resumes where it stopped.

    Examples:

      rsbench run

      rsbench run bmta eurosat --protocol bmta-70-15-15 --recipe author --seeds 0-2

      rsbench run timm:resnet18,baseline-cnn eurosat --set epochs=5 --dry-run

      rsbench run timm:resnet18 eurosat --dry-run --measure

      rsbench run torchvision:squeezenet1_0 eurosat --weights squeezenet.npz --recipe finetune

      rsbench run timm:resnet50 eurosat --weights imagenet --recipe linear-probe --shots 5

      rsbench run bmta eurosat --recipe author --epochs 60 --from 0b9f31c2

      rsbench run bmta eurosat --recipe author --devices 8

      rsbench run timm:resnet50 eurosat --compile max-autotune

      rsbench run bmta eurosat --observer tensorboard --observer mllog

      torchrun --nnodes 2 --nproc-per-node 8 ... -m rsbench run bmta eurosat --recipe author

      rsbench run --suite suite.yaml --launcher ray --ray-address auto --cpus-per-run 4
    """
    from rsbench import api
    from rsbench.config import parse_pairs
    from rsbench.engine.parallel import world as distributed_world

    devices, nodes = distributed_world.scale(how.devices, how.nodes)
    requests = api.make_requests(
        models,
        dataset,
        suite=suite,
        protocol=protocol,
        recipe=recipe,
        seeds=seeds,
        changes=parse_pairs(set_ or [], "--set") | options.given(epochs=epochs, batch=batch, lr=lr),
        options=parse_pairs(option or [], "--option") | options.given(weights=weights, backbone=backbone),
        precision=precision,
        overfit=overfit,
        train_fraction=train_fraction,
        shots=shots,
        start=from_,
        **Execution.of(how, devices=devices, nodes=nodes),
    )
    plans = api.make_plans(requests, *(() if doing.quiet else (drawing, said)))
    if measured and (doing.as_json or not doing.only_show):
        raise UserError("--measure goes with --dry-run, and without --json.")
    carry_out(plans, Path(how.out), doing, where, board=models is None)
    if measured:
        measure(plans)


def carry_out(plans: list[RunPlan], out: Path, doing: Doing, launch: Launch | None = None, *, board: bool) -> None:
    """Run plans, or show them alone, as a command was asked to.

    Args:
        plans: that the command has made.
        out: folder of the records.
        doing: what else the command was told.
        launch: where and how many at once.
        board: whether to show the board of these runs.
    """
    if doing.only_show:
        from rsbench.cli.dry_run import dry_run

        dry_run(plans, out, doing.as_json, launch)
        return
    outcomes = execute(plans, doing.quiet or doing.as_json, launch, doing.observers)
    finish(plans, outcomes, out, doing.as_json, board=board, quiet=doing.quiet, observers=doing.observers)


def drawing(title: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """A progress bar for datasets that are drawn at their first use."""
    from rsbench.cli.data import bar

    return bar(title, "images")


def said(sentence: str) -> None:
    """Print a sentence on data that are prepared at their first use."""
    print(f"rsbench: {sentence}", file=sys.stderr)


def execute(
    plans: list[RunPlan], quiet: bool, launch: Launch | None = None, observers: Sequence[str] = ()
) -> list[Outcome]:
    """Run plans with progress on the terminal.

    Args:
        plans: to be run.
        quiet: show no progress.
        launch: where and how many at once.
        observers: names of those that are told of the runs.
    """
    from rsbench import api
    from rsbench.cli.progress import reporter
    from rsbench.engine.parallel.world import is_nonzero_rank

    with reporter(plans, quiet or is_nonzero_rank()) as on_event:
        return api.execute(plans, observers=observers, launch=launch, on_event=on_event)


def finish(
    plans: list[RunPlan],
    outcomes: list[Outcome],
    out: Path,
    as_json: bool,
    *,
    board: bool,
    quiet: bool,
    observers: Sequence[str],
) -> None:
    """Show what came out and exit with the right code; of several ranks the first shows it.

    Args:
        plans: all that were asked for.
        outcomes: of those that were started.
        out: folder of the records.
        as_json: print outcomes as JSON in place of lines and a board.
        board: whether to show the board of these runs.
        quiet: do not say where files are and what comes next.
        observers: names of those that were switched on.
    """
    from rsbench import observing
    from rsbench.engine.parallel.world import is_nonzero_rank

    if is_nonzero_rank():
        leave(outcomes, out, quiet=True)
    if as_json:
        typer.echo(json.dumps([asdict(o) for o in outcomes], indent=1, default=str))
    elif board and {o.status for o in outcomes} & {"ok", "cached"} and not any(map(is_interrupted, outcomes)):
        from rsbench.cli.leaderboard import PAGE, show

        typer.echo("")
        paths = [o.record_path for o in outcomes if o.record_path and o.status in ("ok", "cached")]
        show(paths, out / PAGE, plans[0].data_root)
    if not (as_json or quiet):
        with observing.observing(observers):
            hints.after_runs(plans, outcomes, out)
    leave(outcomes, out)


def is_interrupted(outcome: Outcome) -> bool:
    """Whether a run was stopped, or not started."""
    return outcome.status == "interrupted"


def _is_mistake(outcome: Outcome) -> bool:
    """Whether a run failed for what the user can mend, such as a file of weights that does not fit."""
    record = reading.kept(outcome.record_path) if outcome.record_path else None
    return isinstance(record, dict) and record["error"]["type"] in MISTAKES


def leave(outcomes: Sequence[Outcome], out: Path, quiet: bool = False) -> None:
    """Name the runs that failed or are not finished, and exit with the code of that; return where there are none."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    lines = [f"{outcome.run_id} failed: {outcome.error}" for outcome in failed]
    code = 0 if not failed else 2 if all(map(_is_mistake, failed)) else 1
    if unfinished := list(filter(is_interrupted, outcomes)):
        names = ", ".join(outcome.run_id for outcome in unfinished)
        lines.append(f"interrupted; the same command resumes from {out}. Not finished: {names}.")
        code = 128 + (unfinished[0].signal or signal.SIGINT)
    for line in [] if quiet else lines:
        print(f"rsbench: {line}", file=sys.stderr)
    if code or quiet:
        raise typer.Exit(code)
