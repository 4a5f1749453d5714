"""``leaderboard``: what the records say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from rsbench import renamed
from rsbench.cli import boards, complete, hints, lazy
from rsbench.errors import UserError
from rsbench.execution import OUT
from rsbench.files import write_atomically
from rsbench.leaderboard import formats
from rsbench.reading import collector_paused

PAGE = "leaderboard.html"


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    function = boards.with_boards(leaderboard) if chosen in (None, "leaderboard") else leaderboard
    lazy.add(app, "leaderboard", function, chosen)


@collector_paused()
def leaderboard(
    records: Annotated[
        list[Path] | None, typer.Argument(help="Records or folders of them. Default: rsbench-results.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Only this protocol.")] = None,
    division: Annotated[str | None, typer.Option(help="closed | open | external")] = None,
    tag: Annotated[str | None, typer.Option(help="Only models with this tag, such as reconstruction.")] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format", help=" | ".join(formats.formats()), autocompletion=complete.among(lambda: [*formats.formats()])
        ),
    ] = "terminal",
    output: Annotated[
        Path | None, typer.Option(help="Write to this file; latex writes a .bib beside it, figures are a file each.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Fail if --output is not what would be written.")] = False,
    samples: Annotated[
        int, typer.Option(min=0, help="html: show what was said of this many test images, which go into the file.")
    ] = 0,
    data_root: Annotated[Path | None, typer.Option(help="Data root, for --samples.")] = None,
    asked: boards.Asked = boards.Asked(),  # noqa: B008
) -> None:
    """Rank what the records say, one table for each protocol.

    Examples:

      rsbench leaderboard

      rsbench leaderboard --format html --output board.html --samples 6

      rsbench leaderboard results --task captioning --tag reconstruction --format latex --output board.tex

      rsbench leaderboard benchmarks/records --format markdown --output benchmarks/leaderboards/eurosat.md --check
    """
    filters: dict[str, str | None] = {
        "task": task,
        "dataset": dataset,
        "protocol": protocol,
        "division": division,
        "tag": tag and renamed.first(renamed.TAG, tag),
    }
    if other := boards.chosen(asked, filters | {"samples": samples}):
        kept = {name: value for name, value in filters.items() if name in other.takes}
        paths = records or [Path(OUT)]
        boards.write(other, paths, format_, output, check, **kept, **asked.numbers)
        return
    from rsbench.leaderboard.result import leaderboard as rank

    spec = formats.find(format_)
    if check and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    if samples and not spec.samples:
        raise UserError(formats.no_samples())
    board = rank(records or (), **filters)
    problems = list(board.problems)
    shown = board.samples(samples, data_root, format_=format_, problems=problems)
    for problem in problems:
        typer.echo(f"rsbench: {problem}", err=True)
    if output is None:
        typer.echo(board.render(format_, samples=shown), nl=False)
        if format_ == "terminal" and board.board.failures and not records:
            hints.following("rsbench runs list --state failed", "rsbench runs clean")
        return
    files = board.files(format_, output, shown)
    if check:
        check_current(files)
        return
    for path, data in files.items():
        write_atomically(path, data)
    hints.files(*files)


def show(paths: Sequence[Path], page: Path | None = None, data_root: str = "") -> None:
    """Print the board of these records in the terminal and write it as *page*, with images where data are generated;
    no page where no format has its ending."""
    from rsbench.leaderboard.result import leaderboard as rank

    board = rank(paths)
    typer.echo(str(board), nl=False)
    if page is not None and (spec := formats.for_suffix(page.suffix)):
        root = Path(data_root) if data_root else None
        board.save(spec.name, page, board.samples(3, root, format_=spec.name, generated=True))
        typer.echo(f"The same with plots, samples and every record, for a browser: {page}")


def check_current(files: Mapping[Path, bytes]) -> None:
    """End with exit code 1 where a file is not there or holds something else."""
    for path, data in files.items():
        if not path.is_file() or path.read_bytes() != data:
            typer.echo(f"rsbench: {path} is out of date: run the same command without --check.", err=True)
            raise typer.Exit(1)
