"""Formats of boards come through a hook: one that is not installed is not offered, and one of others is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import made
import pytest
from typer.testing import CliRunner

from rsbench import hookimpl
from rsbench.cli.app import build as app
from rsbench.cli.complete import among
from rsbench.cli.leaderboard import PAGE, show
from rsbench.extensions import FormatSpec
from rsbench.leaderboard import formats
from rsbench.records import store
from rsbench.registry import BLOCK_VARIABLE, registry

CORE = ["terminal", "markdown", "csv", "json"]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    store.save(made.record("one", 0.5), tmp_path / "records")
    return tmp_path / "records"


@pytest.fixture
def without_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(BLOCK_VARIABLE, "html,time-to")
    registry.cache_clear()
    yield
    registry.cache_clear()


def test_what_is_installed_is_offered() -> None:
    assert list(formats.formats()) == [*CORE, "png", "pdf", "svg", "html", "latex"]
    assert among(lambda: [*formats.formats()])("la") == ["latex"]
    help_ = CliRunner().invoke(app("leaderboard"), ["leaderboard", "--help"], env={"COLUMNS": "200"}).output
    assert "terminal | markdown | csv | json | png | pdf | svg | html | latex" in help_


@pytest.mark.usefixtures("without_page")
def test_without_its_plugin_a_format_is_not_there(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--format", "html"], "'html' is not a format; use terminal, markdown, csv, json, png, pdf, svg, latex."),
        (["--samples", "3"], "--samples is for --format html, which is not installed: the others hold no images."),
    ):
        done = CliRunner().invoke(app("leaderboard"), ["leaderboard", str(records), *arguments])
        assert str(done.exception) == said
    done = CliRunner().invoke(app("leaderboard"), ["leaderboard", str(records), "--time-to"])
    assert (done.exit_code, "No such option: --time-to" in done.output) == (2, True)
    show([records], records / PAGE)
    assert "one" in capsys.readouterr().out
    assert not (records / PAGE).exists()


def winners(board: object, output: Path | None) -> str:
    return f"{output} of {len(board.tables)}\n"  # type: ignore[attr-defined]


def broken(board: object) -> str:
    raise ZeroDivisionError("no rows")


@pytest.fixture
def others() -> Iterator[None]:
    """A plugin of another distribution, with formats of its own and one of a name that is taken."""

    @hookimpl
    def rsbench_formats() -> Iterator[FormatSpec]:
        yield FormatSpec(name="winners", summary="One.", render=f"{__name__}:winners", takes=("output",))
        yield FormatSpec(name="broken", summary="Another.", render=f"{__name__}:broken")
        yield FormatSpec(name="csv", summary="Taken.", render=f"{__name__}:broken")

    registry.cache_clear()
    plugin = SimpleNamespace(rsbench_formats=rsbench_formats)
    registry().add("lab", "lab-formats", "1", lambda: plugin)
    yield
    registry.cache_clear()


@pytest.mark.usefixtures("others")
def test_formats_of_others_are_used_and_contained(records: Path) -> None:
    assert [str(p) for p in registry().problems] == [
        "plugin 'lab' (distribution 'lab-formats'): format 'csv' is already taken by plugin 'formats' "
        "(distribution 'rsbench')"
    ]
    output = records.parent / "board.txt"
    arguments = ["leaderboard", str(records), "--format", "winners"]
    assert CliRunner().invoke(app("leaderboard"), arguments).stdout.endswith("None of 1\n")
    assert CliRunner().invoke(app("leaderboard"), [*arguments, "--output", str(output)]).exit_code == 0
    assert output.read_text() == f"{output} of 1\n"
    done = CliRunner().invoke(app("leaderboard"), ["leaderboard", str(records), "--format", "broken"])
    assert str(done.exception) == (
        "plugin 'lab' (distribution 'lab-formats'): format 'broken' raised ZeroDivisionError: no rows"
    )
