"""``run``: train and evaluate."""

from __future__ import annotations

import json
import shlex
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsbench.cli import complete, lazy, options
from rsbench.errors import UserError
from rsbench.registry import registry

if TYPE_CHECKING:
    from rsbench.engine.launch import Outcome
    from rsbench.plan import RunPlan, RunRequest

DEMO = Path(__file__).parent.parent / "suites" / "demo.yaml"


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "run", run, chosen)


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
    device: options.Device = "auto",
    precision: options.Precision = None,
    threads: options.Threads = 0,
    overfit: options.Overfit = None,
    out: options.Out = Path("rsbench-results"),
    data_root: options.DataRoot = None,
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
    """
    from rsbench.config import load_suite, parse_pairs, parse_seeds
    from rsbench.plan import RunRequest

    common: dict[str, Any] = {"device": device, "threads": threads, "out": str(out), "data_root": data_root}
    common["command"] = "rsbench " + shlex.join(sys.argv[1:])
    if models is None or suite is not None:
        if models is not None:
            raise UserError("Give either models and a dataset, or --suite, not both.")
        requests = load_suite(suite or DEMO, **common)
    else:
        if dataset is None:
            raise UserError(f"On which dataset? rsbench run {models} DATASET; see: rsbench list datasets.")
        given = parse_pairs(option or [], "--option") | ({"weights": weights} if weights is not None else {})
        requests = [
            RunRequest(
                models=tuple((m.strip(), given) for m in models.split(",")),
                dataset=dataset,
                protocol=protocol,
                recipe=recipe,
                changes=parse_pairs(set_ or [], "--set"),
                seeds=parse_seeds(seeds) if seeds is not None else None,
                precision=precision,
                overfit=overfit,
                **common,
            )
        ]
    plans = _plans(requests, data_root, quiet)
    if dry_run:
        show_plans(plans, out, as_json)
        return
    outcomes = execute(plans, quiet or as_json)
    finish(plans, outcomes, out, as_json, board=models is None)


def _plans(requests: list[RunRequest], data_root: Path | None, quiet: bool) -> list[RunPlan]:
    """Prepare generated datasets, then make every plan; all problems of all requests come at once."""
    from rsbench.errors import UserErrors
    from rsbench.plan import expand

    problems: list[str] = []
    plans: list[RunPlan] = []
    for request in requests:
        try:
            prepare_generated(request.dataset, data_root, quiet)
            plans += expand(request)
        except UserErrors as error:
            problems += [p for p in error.problems if p not in problems]
    if problems:
        raise UserErrors(problems)
    return list({p.run_id: p for p in plans}.values())


def prepare_generated(name: str, data_root: Path | None, quiet: bool) -> None:
    """Draw a generated dataset at its first use; it needs no files."""
    spec = registry().specs("dataset").get(name)
    if spec is None or not spec.generated:
        return
    from rsbench.cli.data import bar
    from rsbench.data import location, manifest

    root = location.data_root(data_root)
    if manifest.is_complete(manifest.store_path(root, spec)):
        return
    from rsbench.data.prepare import prepare

    if quiet:
        prepare(spec, None, root)
        return
    with bar(f"Preparing {name}", "images") as on_progress:
        prepare(spec, None, root, on_progress=on_progress)


def execute(plans: list[RunPlan], quiet: bool) -> list[Outcome]:
    """Run plans with progress on the terminal."""
    from rsbench.cli.progress import reporter
    from rsbench.engine.launch import run_plans

    with reporter(plans, quiet) as on_event:
        return run_plans(plans, on_event=on_event)


def finish(plans: list[RunPlan], outcomes: list[Outcome], out: Path, as_json: bool, board: bool) -> None:
    """Show what came out and exit with the right code."""
    if as_json:
        typer.echo(json.dumps([asdict(o) for o in outcomes], indent=1, default=str))
    elif board and any(o.status in ("ok", "cached") for o in outcomes):
        from rsbench.cli.leaderboard import PAGE, show

        typer.echo("")
        paths = [o.record_path for o in outcomes if o.record_path and o.status in ("ok", "cached")]
        show(paths, out / PAGE, plans[0].data_root)
    for outcome in outcomes:
        if outcome.status == "failed":
            print(f"rsbench: {outcome.run_id} failed: {outcome.error}", file=sys.stderr)
    if any(o.status == "interrupted" for o in outcomes):
        print(f"rsbench: interrupted; the same command goes on from {out}.", file=sys.stderr)
        raise typer.Exit(130)
    if any(o.status == "failed" for o in outcomes):
        raise typer.Exit(1)


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
        typer.echo(f"  recipe    {plan.recipe['name']}: {plan.recipe['epochs']} epochs, batch {plan.recipe['batch']}")
        typer.echo(f"  division  {plan.division}; {cost}")


def _configuration(plan: dict[str, Any]) -> str:
    """What earlier runs must agree in to tell the cost."""
    return json.dumps([plan["model"]["label"], plan["protocol"]["fingerprint"], plan["recipe"]], sort_keys=True)


def _earlier_seconds(out: Path) -> dict[str, float]:
    """Median seconds of finished runs in *out*, by configuration."""
    found: dict[str, list[float]] = {}
    for path in out.glob("*/record.json"):
        try:
            record = json.loads(path.read_text())
            if record["status"] == "ok":
                found.setdefault(_configuration(record["plan"]), []).append(record["timing"]["total"])
        except (ValueError, KeyError, OSError):
            continue
    return {key: statistics.median(values) for key, values in found.items()}
