"""Options that commands which train have in common; how they run is said in
:mod:`rsbench.execution`, of which :mod:`rsbench.cli.how` makes options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from rsbench.cli import complete
from rsbench.execution import OUT
from rsbench.registry import registry
from rsbench.specs import PRECISIONS

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.", autocompletion=complete.recipe_fields),
]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="Set an option of the model.", autocompletion=complete.model_options
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Short for --set epochs=.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Short for --set batch=.")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Short for --set lr=.")]
Weights = Annotated[str | None, typer.Option(help="none | imagenet | FILE; short for --option weights=.")]
Backbone = Annotated[
    str | None, typer.Option(help="Short for --option backbone=.", autocompletion=complete.names("model"))
]
Precision = Annotated[str | None, typer.Option(help=" | ".join(PRECISIONS), autocompletion=complete.among(PRECISIONS))]
Overfit = Annotated[
    int | None,
    typer.Option(min=1, help="Train and test on this many training images: a sanity check that a model can learn."),
]
TrainFraction = Annotated[
    float | None,
    typer.Option(help="Share of the images of each class in training and validation; the seed draws them."),
]
Shots = Annotated[
    int | None, typer.Option(min=1, help="So many images of each class in training, and in validation, drawn likewise.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
# What is done with plans beside running them: name -> type, default.
DOING: Final[dict[str, tuple[Any, Any]]] = {
    "observer": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--observer",
                metavar="NAME",
                help="Tell this observer of the run, such as tensorboard, mlflow, wandb or mllog. May be repeated.",
                autocompletion=complete.observers,
            ),
        ],
        None,
    ),
    "only_show": (Annotated[bool, typer.Option("--dry-run", help="Show the plans and stop.")], False),
    "as_json": (Annotated[bool, typer.Option("--json", help="Print outcomes as JSON.")], False),
    "quiet": (Quiet, False),
}

RUNS: Final = Path(OUT)
RunsOut = Annotated[Path, typer.Option(help="Folder of the runs.", envvar="RSBENCH_OUT")]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Id of a run, the hash at its end, a beginning of either, or its folder.",
        autocompletion=complete.runs,
    ),
]
RunNames = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="As rsbench runs shows them, or folders.", autocompletion=complete.runs),
]


def where() -> dict[str, tuple[Any, Any]]:
    """Where runs happen: name -> type, default; with the launchers that are installed when it is asked for."""
    specs = registry().specs("launcher")
    summaries = [spec.summary.rstrip(".") for spec in specs.values()]
    told = ", or ".join(text[:1].lower() + text[1:] for text in summaries)
    known = complete.among(lambda: [*registry().specs("launcher")])
    parallel = typer.Option(
        min=1, help="Runs at once. Default: one; with Ray, as many as fit. Cores are divided among them."
    )
    address = typer.Option(metavar="auto|HOST:PORT", help="Default: RAY_ADDRESS; without it, Ray is started here.")
    cpus = typer.Option(min=0.0, help="With Ray. Default: --threads, or one.")
    gpus = typer.Option(min=0.0, help="With Ray; parts share a GPU. Default: one for a run on CUDA.")
    return {
        "launcher": (Annotated[str, typer.Option(help=f"{' | '.join(specs)}: {told}.", autocompletion=known)], "local"),
        "parallel": (Annotated[int | None, parallel], None),
        "ray_address": (Annotated[str | None, address], None),
        "cpus_per_run": (Annotated[float | None, cpus], None),
        "gpus_per_run": (Annotated[float | None, gpus], None),
    }


def given(**short: Any) -> dict[str, Any]:
    """Return the short forms that were given."""
    return {name: value for name, value in short.items() if value is not None}
