"""``evaluate``: test a model that was trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsbench.cli import complete, lazy, options
from rsbench.cli.how import Doing, takes
from rsbench.execution import Execution
from rsbench.specs import NORMALIZATIONS


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "evaluate", evaluate, chosen)


@takes("device", "threads", "out", "data_root")
def evaluate(
    checkpoint: Annotated[
        Path, typer.Argument(help="Weights: safetensors, NumPy, or a checkpoint of PyTorch, timm or Lightning.")
    ],
    dataset: Annotated[str, typer.Argument(help="Dataset.", autocompletion=complete.names("dataset"))],
    model: Annotated[
        str | None,
        typer.Option(
            help="Whose weights these are. rsbench's own files say it.", autocompletion=complete.names("model")
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Whose test split. Default: the dataset's.", autocompletion=complete.names("protocol")),
    ] = None,
    system: Annotated[str | None, typer.Option(help="Name on the board. Default: model and file.")] = None,
    normalization: Annotated[
        str | None,
        typer.Option(
            help=f"{' | '.join(NORMALIZATIONS)}. Default: the file's, else the model's.",
            autocompletion=complete.among(NORMALIZATIONS),
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Which of the states in the file, such as state_dict. Default: the averaged (EMA) one."
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Whose task options.", autocompletion=complete.names("recipe"))
    ] = None,
    set_: options.Changes = None,
    option: options.ModelOptions = None,
    precision: options.Precision = None,
    how: Execution = Execution(),  # noqa: B008
    doing: Doing = Doing(),  # noqa: B008
) -> None:
    """Test weights that were trained elsewhere, under a protocol.

    The model passes preflight and predicts the test split; its record is of division external, since how it was
    trained, and on what, is not known.

    Examples:

      rsbench evaluate net.pt eurosat --model timm:resnet18 --normalization imagenet --system our-resnet

      rsbench evaluate last.ckpt eurosat --model timm:resnet18 --state state_dict --dry-run

      rsbench evaluate rsbench-results/RUN/model.safetensors eurosat --protocol bmta-70-15-15
    """
    from rsbench import api
    from rsbench.cli import run
    from rsbench.config import parse_pairs
    from rsbench.evaluation import EvaluationRequest, expand_evaluation

    api.prepare_generated(dataset, how.data_root, *(() if doing.quiet or doing.as_json else (run.drawing, run.said)))
    plans = [
        expand_evaluation(
            EvaluationRequest(
                checkpoint=checkpoint,
                dataset=dataset,
                model=model,
                options=parse_pairs(option or [], "--option"),
                protocol=protocol,
                recipe=recipe,
                changes=parse_pairs(set_ or [], "--set"),
                normalization=normalization,
                state=state,
                system=system,
                precision=precision,
                **Execution.of(how),
            )
        )
    ]
    run.carry_out(plans, Path(how.out), doing, board=False)
