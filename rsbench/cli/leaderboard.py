"""``leaderboard``: what the records say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsbench.cli import lazy
from rsbench.errors import UserError

if TYPE_CHECKING:
    from rsbench.leaderboard.board import Board
    from rsbench.leaderboard.samples import Sample

FORMATS = ("terminal", "markdown", "csv", "json", "latex", "html")
PAGE = "leaderboard.html"


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "leaderboard", leaderboard, chosen)


def leaderboard(
    records: Annotated[
        list[Path] | None, typer.Argument(help="Records or folders of them. Default: rsbench-results.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Only this protocol.")] = None,
    division: Annotated[str | None, typer.Option(help="closed | open | external")] = None,
    tag: Annotated[str | None, typer.Option(help="Only models with this tag, such as reconstruction.")] = None,
    format_: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "terminal",
    output: Annotated[Path | None, typer.Option(help="Write to this file; latex writes a .bib beside it.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Fail if --output is not what would be written.")] = False,
    samples: Annotated[
        int, typer.Option(min=0, help="html: show what was said of this many test images, which go into the file.")
    ] = 0,
    data_root: Annotated[Path | None, typer.Option(help="Data root, for --samples.")] = None,
) -> None:
    """Rank what the records say, one table for each protocol.

    Examples:

      rsbench leaderboard

      rsbench leaderboard --format html --output board.html --samples 6

      rsbench leaderboard results --task captioning --tag reconstruction --format latex --output board.tex

      rsbench leaderboard benchmarks/records --format markdown --output benchmarks/leaderboards/eurosat.md --check
    """
    from rsbench.leaderboard.board import build
    from rsbench.records.store import load_all

    if format_ not in FORMATS:
        raise UserError(f"'{format_}' is not a format; use {', '.join(FORMATS)}.")
    if check and output is None:
        raise UserError("--check needs --output FILE to compare with.")
    if samples and format_ != "html":
        raise UserError("--samples is for --format html: the others hold no images.")
    problems: list[str] = []
    loaded = load_all(records or [Path("rsbench-results")], problems)
    board = build(loaded, task=task, dataset=dataset, protocol=protocol, division=division, tag=tag)
    for problem in problems + board.problems:
        typer.echo(f"rsbench: {problem}", err=True)
    text = _render(board, format_, output, _samples(board, samples, data_root))
    if output is None:
        typer.echo(text, nl=False)
        return
    files = {output: text} | _beside(board, format_, output)
    if check:
        _check(files)
    else:
        _write(files)


def show(paths: Sequence[Path], page: Path | None = None, data_root: str = "") -> None:
    """Print the board of these records in the terminal and write it as *page*, with images where data are generated."""
    from rsbench.leaderboard.board import build
    from rsbench.records.store import load_all

    board = build(load_all(paths))
    typer.echo(_render(board, "terminal"), nl=False)
    if page is not None:
        samples = _samples(board, 3, Path(data_root) if data_root else None, generated=True)
        _write({page: _render(board, "html", page, samples)})
        typer.echo(f"The same with plots, samples and every record, for a browser: {page}")


def _render(
    board: Board, format_: str, output: Path | None = None, samples: Mapping[str, Sequence[Sample]] | None = None
) -> str:
    from rsbench.leaderboard.render import data, html, latex, markdown, terminal

    render: dict[str, Callable[[Board], str]] = {
        "terminal": terminal.render,
        "markdown": markdown.render,
        "csv": data.render_csv,
        "json": data.render_json,
        "latex": lambda board: latex.render(board, output.stem if output else "board"),
        "html": lambda board: html.render(board, samples, output),
    }
    return render[format_](board)


def _beside(board: Board, format_: str, output: Path) -> dict[Path, str]:
    """What is written beside the output."""
    if format_ != "latex":
        return {}
    from rsbench.leaderboard.render import latex

    if output.suffix == ".bib":
        raise UserError(f"{output} is the name of the citations; give the tables another, such as board.tex.")
    return {output.with_suffix(".bib"): latex.render_bib(board)}


def _samples(
    board: Board, count: int, data_root: Path | None, generated: bool = False
) -> dict[str, list[Sample]] | None:
    """Sample predictions of each protocol whose data are at hand; of the others a line says why there are none."""
    from rsbench.data.location import data_root as located
    from rsbench.leaderboard.samples import collect
    from rsbench.registry import registry

    found: dict[str, list[Sample]] = {}
    for table in board.tables if count else ():
        try:
            if not generated or registry().get("dataset", table.dataset).generated:
                found[table.fingerprint] = collect(table, board.records, located(data_root), count)
        except UserError as error:
            typer.echo(f"rsbench: no samples of {table.dataset}: {error}", err=True)
    return found


def _check(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        if not path.is_file() or path.read_bytes() != _bytes(text):
            typer.echo(f"rsbench: {path} is out of date: run the same command without --check.", err=True)
            raise typer.Exit(1)


def _write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(text))


def _bytes(text: str) -> bytes:
    """UTF-8; what cannot be said in it, such as half a surrogate pair in a foreign record, becomes a question mark."""
    return text.encode("utf-8", "replace")
