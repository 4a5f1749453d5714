"""``predict``: what a run's network says of new images."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from rsbench.cli import lazy, options
from rsbench.cli.data import bar
from rsbench.cli.how import takes
from rsbench.execution import Execution


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "predict", predict, chosen)


@takes("device", "out", "data_root")
def predict(
    run: options.RunName,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGES...", help="Files (.jpg, .png, .tif), folders, or quoted patterns.")
    ],
    output: Annotated[Path | None, typer.Option(help="Write CSV to this file. Default: print it.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Tell this many of the most probable classes.")] = 1,
    question: Annotated[str | None, typer.Option(help="What is asked of every image, of tasks that ask.")] = None,
    question_type: Annotated[str | None, typer.Option(help="Type of the question, where the run has several.")] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Resize images of another size than the run's.")] = False,
    how: Execution = Execution(),  # noqa: B008
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict images by the network of a finished run: one row an image, with label and probability, caption or answer.

    Images go through what those of the run went through: its bands, size, resampling, normalization and precision.  The
    weights are those of the run's record, by their digest.

    Examples:

      rsbench predict 0b9f31c2 tiles/ --output labels.csv

      rsbench predict 0b9f31c2 'tiles/*.tif' --top 3

      rsbench predict 5e1d77aa a.png --question 'How many buildings are there?' --question-type count
    """
    from rsbench.files import write_atomically
    from rsbench.inference import load_model
    from rsbench.inference import predict as predict_images
    from rsbench.leaderboard.render.data import csv_of

    model = load_model(run, device=how.device, out=how.out, data_root=how.data_root or None)
    for note in model.rsbench.notes:  # type: ignore[union-attr]
        typer.echo(f"rsbench: {note}", err=True)
    asked: dict[str, Any] = {"top": top, "question": question, "question_type": question_type, "resize": resize}
    with nullcontext() if quiet else bar("Predicting", "images") as progress:
        rows = predict_images(model, images, **asked, on_progress=progress)
    text = json.dumps(rows, indent=1) + "\n" if as_json else csv_of(rows)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_atomically(output, text)
    typer.echo(f"Wrote {len(rows)} predictions to {output}.", err=True)
