"""``multitask``: train one model on several datasets and tasks at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsbench.cli import complete, lazy, options
from rsbench.cli.how import Doing, takes
from rsbench.errors import UserError
from rsbench.execution import Execution

if TYPE_CHECKING:
    from rsbench.plan import RunPlan


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "multitask", multitask, chosen)


@takes("device", "threads", "out", "data_root")
def multitask(
    model: Annotated[str, typer.Argument(help="Model.", autocompletion=complete.names("model"))],
    datasets: Annotated[
        list[str],
        typer.Argument(metavar="DATASET[@PROTOCOL]...", help="Tasks.", autocompletion=complete.names("dataset")),
    ],
    weight: Annotated[
        list[str] | None, typer.Option(metavar="DATASET=NUMBER", help="Weight of a task's loss; default 1.")
    ] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(min=1, help="Batches of each task an epoch; default: a pass of the largest dataset.")
    ] = None,
    single_task: Annotated[
        bool, typer.Option("--single-task", help="Also train each task alone, in as many steps, as a baseline.")
    ] = False,
    recipe: Annotated[
        str | None, typer.Option(help="Default: the model's own.", autocompletion=complete.names("recipe"))
    ] = None,
    seeds: Annotated[str, typer.Option(help="Such as 3, 0-4 or 0,2,5.")] = "0",
    set_: options.Changes = None,
    option: options.ModelOptions = None,
    precision: options.Precision = None,
    overfit: options.Overfit = None,
    how: Execution = Execution(),  # noqa: B008
    where: Any = None,
    doing: Doing = Doing(),  # noqa: B008
) -> None:
    """Train one model on several datasets and tasks at once.

    For each step every task gives one batch; it follows the weighted sum of their losses.  Each task leaves a record of
    its own under its own protocol; its weights are those of the epoch that its protocol selects.

    Examples:

      rsbench multitask spatialnet-vit ucm-captions eurosat scenes-vqa --option input_size=64 --single-task

      rsbench multitask spatialnet-vit ucm-captions@ucm-landuse ucm-captions@ucm-captions-standard

      rsbench multitask spatialnet-vit ucm-captions rsvqa-lr --weight rsvqa-lr=0.5 --recipe spatialnet-author
    """
    from rsbench import api
    from rsbench.cli import run
    from rsbench.config import parse_pairs, parse_seeds
    from rsbench_multitask.plan import MultitaskRequest, expand_multitask

    members = tuple(_member(text) for text in datasets)
    if len(members) < 2:
        raise UserError(f"One task alone is: rsbench run {model} {datasets[0]}; name at least two.")
    for name, _ in members:
        api.prepare_generated(name, how.data_root, *(() if doing.quiet else (run.drawing, run.said)))
    plans: list[RunPlan] = expand_multitask(
        MultitaskRequest(
            model=model,
            members=members,
            options=parse_pairs(option or [], "--option"),
            weights=_weights(weight or []),
            steps_per_epoch=steps_per_epoch,
            single_task=single_task,
            recipe=recipe,
            changes=parse_pairs(set_ or [], "--set"),
            seeds=parse_seeds(seeds),
            precision=precision,
            overfit=overfit,
            **Execution.of(how),
        )
    )
    run.carry_out(plans, Path(how.out), doing, where, board=True)


def _member(text: str) -> tuple[str, str | None]:
    dataset, at, protocol = text.rpartition("@")
    return (dataset, protocol) if at and "/" not in protocol else (text, None)


def _weights(pairs: list[str]) -> dict[str, float]:
    from rsbench.config import parse_pairs

    values = parse_pairs(pairs, "--weight")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"--weight {name} takes a number; '{value}' is not one.")
    return values
