"""``run``: train and evaluate."""

from __future__ import annotations

import json
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rsbench import reading
from rsbench.cli import complete, lazy, options
from rsbench.cli.how import takes
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
        str | None, typer.Option(help="Default: the dataset's own.", autocompletion=complete.names("protocol"))
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Default: the protocol's standard one. 'author' is the model's own.",
            autocompletion=complete.names("recipe"),
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Such as 3, 0-4 or 0,2,5. Default: the protocol's.")] = None,
    set_: options.Changes = None,
    option: options.ModelOptions = None,
    weights: Annotated[str | None, typer.Option(help="none | imagenet | FILE; short for --option weights=.")] = None,
    suite: Annotated[Path | None, typer.Option(help="A YAML file of runs.")] = None,
    precision: options.Precision = None,
    overfit: options.Overfit = None,
    how: Execution = Execution(),  # noqa: B008
    launcher: Annotated[str, options.launcher()] = "local",
    parallel: options.Parallel = None,
    ray_address: options.RayAddress = None,
    cpus_per_run: options.CpusPerRun = None,
    gpus_per_run: options.GpusPerRun = None,
    observer: options.Observers = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train and evaluate models on a dataset; without arguments, the demo.

    Each run leaves a record with its predictions in OUT/<run id>; a finished run is not run again, and an interrupted
    one is taken up where it stopped.

    Examples:

      rsbench run

      rsbench run bmta eurosat --protocol bmta-70-15-15 --recipe author --seeds 0-2

      rsbench run timm:resnet18,baseline-cnn eurosat --set epochs=5 --dry-run

      rsbench run torchvision:squeezenet1_0 eurosat --weights squeezenet.npz --recipe finetune

      rsbench run bmta eurosat --recipe author --devices 8

      rsbench run timm:resnet50 eurosat --compile max-autotune

      rsbench run bmta eurosat --observer tensorboard --observer mllog

      torchrun --nnodes 2 --nproc-per-node 8 ... -m rsbench run bmta eurosat --recipe author

      rsbench run --suite suite.yaml --launcher ray --ray-address auto --cpus-per-run 4
    """
    from rsbench import api, observing
    from rsbench.config import parse_pairs
    from rsbench.engine.launch.launch import Launch
    from rsbench.engine.parallel import world as distributed_world

    launch = Launch(launcher=launcher, parallel=parallel, address=ray_address, cpus=cpus_per_run, gpus=gpus_per_run)
    observing.require(observer or ())
    devices, nodes = distributed_world.scale(how.devices, how.nodes)
    given = parse_pairs(option or [], "--option") | ({"weights": weights} if weights is not None else {})
    requests = api.make_requests(
        models,
        dataset,
        suite=suite,
        protocol=protocol,
        recipe=recipe,
        seeds=seeds,
        changes=parse_pairs(set_ or [], "--set"),
        options=given,
        precision=precision,
        overfit=overfit,
        **Execution.of(how, devices=devices, nodes=nodes),
    )
    out = Path(how.out)
    plans = api.make_plans(requests, None if quiet else drawing)
    if dry_run:
        try_weights(plans)
        show_plans(plans, out, as_json)
        return
    outcomes = execute(plans, quiet or as_json, launch, observer or ())
    finish(plans, outcomes, out, as_json, board=models is None)


def try_weights(plans: Sequence[RunPlan]) -> None:
    """See without a run whether the weights in files fit, and say what is taken of them."""
    with_files = {json.dumps(p.model, sort_keys=True): p for p in plans if p.model.get("weights_sha256")}
    for plan in with_files.values():
        from rsbench.engine.run.checkpoint_run import try_loading

        if taken := try_loading(plan):
            print(f"rsbench: {Path(plan.checkpoint or '').name}: {taken}.", file=sys.stderr)


def drawing(title: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """A progress bar for datasets that are drawn at their first use."""
    from rsbench.cli.data import bar

    return bar(title, "images")


def execute(
    plans: list[RunPlan], quiet: bool, launch: Launch | None = None, observers: Sequence[str] = ()
) -> list[Outcome]:
    """Run plans with progress on the terminal."""
    from rsbench import api
    from rsbench.cli.progress import reporter
    from rsbench.engine.parallel.world import follows

    with reporter(plans, quiet or follows()) as on_event:
        return api.execute(plans, observers=observers, launch=launch, on_event=on_event)


def finish(plans: list[RunPlan], outcomes: list[Outcome], out: Path, as_json: bool, board: bool) -> None:
    """Show what came out and exit with the right code; of several ranks the first shows it."""
    from rsbench.engine.parallel.world import follows

    if follows():
        leave(outcomes, out, quiet=True)
    if as_json:
        typer.echo(json.dumps([asdict(o) for o in outcomes], indent=1, default=str))
    elif board and {o.status for o in outcomes} & {"ok", "cached"} and not any(map(is_interrupted, outcomes)):
        from rsbench.cli.leaderboard import PAGE, show

        typer.echo("")
        paths = [o.record_path for o in outcomes if o.record_path and o.status in ("ok", "cached")]
        show(paths, out / PAGE, plans[0].data_root)
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


def show_plans(plans: list[RunPlan], out: Path, as_json: bool) -> None:
    """Print the plans with the cost of earlier runs of the same configuration."""
    costs = _earlier_seconds(out)
    if as_json:
        typer.echo(json.dumps([p.to_dict() for p in plans], indent=1))
        return
    for plan in plans:
        seconds = costs.get(_configuration(plan.to_dict()))
        cost = "no earlier run to tell the cost from" if seconds is None else f"about {seconds:.0f} s by earlier runs"
        sizes = plan.protocol["split_sizes"]
        typer.echo(plan.run_id)
        typer.echo(
            f"  model     {plan.model['label']} ({plan.model['distribution']} {plan.model['distribution_version']})"
        )
        typer.echo(f"  protocol  {plan.protocol['name']}, fingerprint {plan.protocol['fingerprint'][:16]}")
        typer.echo(f"  data      {sizes['train']} train, {sizes['val']} val, {sizes['test']} test")
        recipe = plan.recipe
        asked = f"{recipe['epochs']} epochs, batch {recipe['batch']}, precision {recipe['precision']}"
        typer.echo(f"  recipe    {recipe['name']}: {asked}")
        typer.echo(f"  division  {plan.division}; {cost}")


def _configuration(plan: dict[str, Any]) -> str:
    """What earlier runs must agree in to tell the cost."""
    return json.dumps([plan["model"]["label"], plan["protocol"]["fingerprint"], plan["recipe"]], sort_keys=True)


def _earlier_seconds(out: Path) -> dict[str, float]:
    """Median seconds of finished runs in *out*, by configuration."""
    found: dict[str, list[float]] = {}
    for path in out.glob("*/record.json"):
        with suppress(KeyError, TypeError):  # it is damaged
            record = reading.kept(path)
            if record["status"] == "ok":
                found.setdefault(_configuration(record["plan"]), []).append(record["timing"]["total"])
    return {key: statistics.median(values) for key, values in found.items()}
