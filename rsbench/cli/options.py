"""Options that commands which train have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsbench import execution, scale
from rsbench.cli import complete
from rsbench.specs import PRECISIONS

Changes = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")]
ModelOptions = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Set an option of the model.")
]
Device = Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:N")]
Precision = Annotated[str | None, typer.Option(help=" | ".join(PRECISIONS), autocompletion=complete.among(PRECISIONS))]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: all usable cores.")]
Devices = Annotated[int, typer.Option(min=1, help="Devices of each node; with --device cpu, processes.")]
Nodes = Annotated[int, typer.Option(min=1, help="Nodes, on which torchrun or srun has started a process a device.")]
Strategy = Annotated[
    str,
    typer.Option(
        help=" | ".join(scale.STRATEGIES)
        + ": how several devices share a run; with fsdp each holds a slice of the network.",
        autocompletion=complete.among(scale.STRATEGIES),
    ),
]
Compile = Annotated[
    str | None,
    typer.Option(
        "--compile",
        help=" | ".join(execution.COMPILE) + ": auto tries whether it pays. Default: auto on CUDA, elsewhere none.",
        autocompletion=complete.among(execution.COMPILE),
    ),
]
CheckpointActivations = Annotated[
    bool,
    typer.Option("--checkpoint-activations", help="Save memory: compute activations again in the backward pass."),
]
Overfit = Annotated[
    int | None, typer.Option(min=1, help="Train and test on this many training images, to see that a model learns.")
]
Launcher = Annotated[
    str,
    typer.Option(
        help=" | ".join(execution.LAUNCHERS) + ": processes of this machine, or tasks of a Ray cluster.",
        autocompletion=complete.among(execution.LAUNCHERS),
    ),
]
Parallel = Annotated[
    int | None,
    typer.Option(min=1, help="Runs at once. Default: one; with Ray, as many as fit. Cores are divided among them."),
]
RayAddress = Annotated[
    str | None, typer.Option(metavar="auto|HOST:PORT", help="Default: RAY_ADDRESS; without it, Ray is started here.")
]
CpusPerRun = Annotated[float | None, typer.Option(min=0.0, help="With Ray. Default: --threads, or one.")]
GpusPerRun = Annotated[
    float | None, typer.Option(min=0.0, help="With Ray; parts share a GPU. Default: one for a run on CUDA.")
]
Observers = Annotated[
    list[str] | None,
    typer.Option(
        "--observer",
        metavar="NAME",
        help="Tell this observer of the run, such as tensorboard, mlflow, wandb or mllog. May be repeated.",
        autocompletion=complete.observers,
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the records.", envvar="RSBENCH_OUT")]
DataRoot = Annotated[Path | None, typer.Option(help="Data root.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plans and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print outcomes as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
