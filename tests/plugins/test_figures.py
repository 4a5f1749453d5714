"""What figures of a paper hold: the numbers of the board, where they belong."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import made
import matplotlib
import numpy as np
import pytest
from rsbench_figures import draw
from rsbench_figures.files import write
from typer.testing import CliRunner

from rsbench.cli.app import build as app
from rsbench.errors import UserError
from rsbench.leaderboard.aggregate import Table
from rsbench.leaderboard.board import Board
from rsbench.records import store

NAMES = ["parameters", "time", "curves", "reliability", "confusion"]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return made.several(tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def table(board: Board) -> Table:
    return board.tables[0]


def figure(name: str, table: Table) -> Any:
    with matplotlib.rc_context(draw.SETTINGS):
        return draw.FIGURES[name](table)


def entries(drawn: Any) -> list[str]:
    """Names in the legend, each in one line."""
    return [text.get_text().replace("\n", " ") for legend in drawn.legends for text in legend.get_texts()]


def test_each_ranked_system_is_at_its_score_and_cost_with_its_interval(table: Table) -> None:
    drawn = figure("parameters", table)
    (axes,) = drawn.axes
    ranked = [row for row in table.rows if row.sound]
    bars = {}
    for container in axes.containers:
        line, _, (up,) = container.lines
        ((_, low), (_, high)) = up.get_segments()[0]
        bars[line.get_xdata()[0]] = (line.get_ydata()[0], low, high)
    assert len(bars) == len(ranked) == 4
    for row in ranked:
        wanted = [100 * v for v in (row.mean, *(row.interval or ()))]
        assert bars[row.params] == pytest.approx(wanted)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("parameters", "overall accuracy (%)")
    # They set the axis; the baseline, beyond it, is an arrow, and what failed a check is not there.
    ends = [100 * v for row in ranked for v in row.interval or ()]
    low, high = axes.get_ylim()
    baseline = next(row for row in table.rows if row.baseline)
    assert 100 * baseline.mean < low < min(ends) < max(ends) < high
    assert entries(drawn)[-1] == f"line (baseline): {100 * baseline.mean:.2f}"
    assert [row.system.split()[0] for row in ranked] == [name.split()[0] for name in entries(drawn)[:-1]]
    widths = drawn.get_size_inches()[0] * 25.4
    assert widths == pytest.approx(85)


def test_a_baseline_among_the_ranked_is_a_line(tmp_path: Path) -> None:
    records = [made.record("a", 0.9), made.record("b", 0.5), made.record("line", 0.7, tags=("control",))]
    (table,) = made.board(tmp_path, *records).tables
    (axes,) = figure("parameters", table).axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [100 * next(r for r in table.rows if r.baseline).mean]


def test_times_are_those_of_one_machine(tmp_path: Path) -> None:
    records = [made.record(name, 0.9, device="fast") for name in ("a", "b")] + [made.record("c", 0.8, device="slow")]
    for seconds, record in zip((100, 200, 50), records, strict=True):
        record["train"]["seconds"] = seconds
    (axes,) = figure("time", made.board(tmp_path, *records).tables[0]).axes
    assert sorted(c.lines[0].get_xdata()[0] for c in axes.containers) == [100, 200]
    assert axes.get_xlabel().startswith("seconds of training, fast")


def test_curves_are_means_of_seeds_in_a_band(table: Table) -> None:
    drawn = figure("curves", table)
    (axes,) = drawn.axes
    ranked = [row for row in table.rows if row.sound]
    assert len(axes.lines) == len(entries(drawn)) == len(ranked)
    for line, row in zip(axes.lines, ranked, strict=True):
        curves = [[100 * epoch["val_accuracy"] for epoch in record["train"]["curve"]] for record in row.facts]
        assert list(line.get_xdata()) == [1, 2, 3]
        assert line.get_ydata() == pytest.approx(np.mean(curves, axis=0))
    low, high = np.min(curves, axis=0), np.max(curves, axis=0)  # of the last, which has two seeds
    ys = axes.collections[-1].get_paths()[0].vertices[:, 1]
    assert (ys.min(), ys.max()) == pytest.approx((low.min(), high.max()))


def test_reliability_is_over_all_seeds(table: Table) -> None:
    drawn = figure("reliability", table)
    (axes,) = drawn.axes
    row = table.rows[0]
    tables = [record["by_group"]["reliability"] for record in row.facts]
    wanted = []
    for parts in zip(*tables, strict=True):
        if n := sum(part["count"] for part in parts):
            x, y = (sum(p["count"] * (p[k] or 0) for p in parts) / n for k in ("confidence", "accuracy"))
            wanted.append((100 * x, 100 * y))
    found = axes.containers[0].lines[0].get_xydata()
    assert found == pytest.approx(np.array(wanted))
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 100), (0, 100))


def test_confusion_is_that_of_the_first_in_percent_of_the_true_class(table: Table) -> None:
    (axes,) = figure("confusion", table).axes
    matrix = sum(np.array(record["by_group"]["confusion_matrix"]) for record in table.rows[0].facts)
    percent = 100 * matrix / matrix.sum(axis=1, keepdims=True)
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(percent)
    for text in axes.texts:
        c, r = text.get_position()
        assert text.get_text() == f"{percent[int(r), int(c)]:.0f}"
    assert len(axes.texts) == (percent >= 0.5).sum()
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"class number {k}" for k in range(10)]
    assert axes.get_title() == "good"


def test_matrices_of_many_classes_are_as_wide_as_a_page_and_have_a_scale(tmp_path: Path) -> None:
    (table,) = made.board(tmp_path, made.record("one", 0.8, classes=21)).tables
    drawn = figure("confusion", table)
    assert drawn.get_size_inches()[0] * 25.4 == pytest.approx(178)
    assert len(drawn.axes) == 2
    assert not drawn.axes[0].texts


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_same_board_gives_the_same_bytes(board: Board, suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"curves.{suffix}"
    first, second = write(board, output, suffix), write(board, output, suffix)
    assert [*first] == [output]
    assert first == second
    assert not {b"CreationDate", b"<dc:date>", b"Software"} & {
        *re.findall(rb"CreationDate|<dc:date>|Software", first[output])
    }
    if suffix == "svg":
        text = first[output].decode()
        assert "<script" not in text
        assert {"good", "epoch", "validation accuracy (%)"} <= {*re.findall(r">([^<>]+)</text>", text)}


def test_each_figure_has_a_file_and_tables_are_told_apart(board: Board, tmp_path: Path) -> None:
    assert [path.name for path in write(board, tmp_path / "board.svg", "svg")] == [f"board-{n}.svg" for n in NAMES]
    twice = write(Board([board.tables[0], board.tables[0]]), tmp_path / "curves.svg", "svg")
    dataset, protocol = board.tables[0].dataset, board.tables[0].protocol
    assert [path.name for path in twice] == [f"curves-{dataset}-{protocol}.svg"]
    with pytest.raises(UserError, match="nothing that parameters, time, curves"):
        write(Board([]), tmp_path / "board.svg", "svg")


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(made.record("one", 0.5), tmp_path / "records")

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app("leaderboard"), ["leaderboard", str(tmp_path / "records"), *arguments])

    assert str(call("--format", "pdf").exception) == "pdf is written to files: add --output board.pdf."
    output = str(tmp_path / "confusion.pdf")
    assert call("--format", "pdf", "--output", output).exit_code == 0
    assert Path(output).read_bytes().startswith(b"%PDF")
    assert call("--format", "pdf", "--output", output, "--check").exit_code == 0
    Path(output).write_bytes(b"old")
    assert call("--format", "pdf", "--output", output, "--check").exit_code == 1
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for module in [name for name in sys.modules if name.startswith("rsbench_figures.draw")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(sys.modules["rsbench_figures"], "draw", raising=False)
    said = str(call("--format", "pdf", "--output", output).exception)
    assert said == "Figures need matplotlib: pip install 'rsbench[figures]'."
