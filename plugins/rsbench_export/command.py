"""``export`` and ``import``: records in the forms that others read and write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsbench.cli import complete, hints, lazy
from rsbench.errors import UserError, UserErrors
from rsbench.execution import OUT
from rsbench.files import write_atomically
from rsbench_export import exports


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands."""
    lazy.add(app, "export", export, chosen)
    lazy.add(app, "import", import_, chosen)


def export(
    records: Annotated[list[Path], typer.Argument(help="Records or folders of them.")],
    to: Annotated[
        str, typer.Option("--to", help=" | ".join(exports.targets()), autocompletion=complete.among(exports.targets))
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the files. Default: print, where there is one file.")
    ] = None,
) -> None:
    """Write records as model cards, STAC items, dataset descriptions or rows of another benchmark.

    hf: a model card with evaluation results for the Hugging Face Hub.  stac-mlm: a STAC item of the Machine Learning
    Model extension, to lie beside the weights.  croissant: the dataset, its classes and the protocol's split, by
    mlcroissant.  torchgeo-bench: one CSV of accuracies.

    Examples:

      rsbench export rsbench-results/RUN --to hf

      rsbench export rsbench-results --to torchgeo-bench --output shared
    """
    from rsbench.leaderboard.members import usable
    from rsbench.records.store import load_all

    exports.check_target(to)
    problems: list[str] = []
    found = usable(load_all(records, problems), problems, lambda loaded: exports.export([loaded], to))
    if problems and not found:
        raise UserErrors(problems)
    for problem in problems:
        typer.echo(f"rsbench: {problem}", err=True)
    files = exports.export(found, to)
    if not files:
        raise UserError("There is no record to export.")
    if output is None:
        if len(files) > 1:
            raise UserError(f"This makes {len(files)} files; say with --output FOLDER where they are to go.")
        typer.echo(next(iter(files.values())), nl=False)
        return
    for name, text in files.items():
        path = output / name
        write_atomically(path, text)
        typer.echo(path)
    hints.files(output)


def import_(
    file: Annotated[Path, typer.Argument(help="CSV file of torchgeo-bench.")],
    out: Annotated[Path, typer.Option(help="Folder of the records.", envvar="RSBENCH_OUT")] = Path(OUT),
    origin: Annotated[
        str,
        typer.Option("--from", help=" | ".join(exports.origins()), autocompletion=complete.among(exports.origins)),
    ] = "torchgeo-bench",
) -> None:
    """Keep another benchmark's results as records of division external.

    torchgeo-bench's scores (accuracy, and micro mAP where images have several labels) stand on boards of their own,
    unranked: its splits are others, and its predictions are not available.  Other rows are refused by name, and those
    whose values are wrong, by their lines; these alone make the exit code 2.

    Example: rsbench import all_results.csv --out imported
    """
    lines, problems = exports.read(file, out, origin)
    typer.echo("\n".join(lines))
    if problems:
        raise UserErrors(problems)
