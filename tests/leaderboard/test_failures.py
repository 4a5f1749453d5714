"""Failed runs on boards."""

from __future__ import annotations

from pathlib import Path

from made import record
from rsbench_html import render as html
from rsbench_latex import latex
from typer.testing import CliRunner

from rsbench.cli.app import build as app
from rsbench.foreign import in_markdown
from rsbench.leaderboard.board import build
from rsbench.leaderboard.render import markdown, terminal
from rsbench.records import store
from rsbench.records.blank import blank_record


def test_every_format_tells_of_failures(tmp_path: Path) -> None:
    store.save(record("net"), tmp_path / "good")
    made = record("odd")
    failed = blank_record("odd-run", made["plan"] | {"run_id": "odd-run"})
    failed["error"] = {"stage": "train", "type": "RunError", "message": "The loss became nan <b> in epoch 3."}
    store.save(failed, tmp_path / "bad")
    board = build(store.load_all([tmp_path]))
    assert [r.record["run_id"] for r in board.failures] == ["odd-run"]
    said = "Failed: odd-run (train): The loss became nan <b> in epoch 3."
    assert in_markdown(said) in markdown.render(board)
    assert "<b>" not in markdown.render(board)  # no tag of a foreign record
    assert said in terminal.render(board, width=200)
    assert said.replace("<", "&lt;").replace(">", "&gt;") in html.render(board)
    assert "odd-run" not in latex.render(board)  # a paper's table
    done = CliRunner().invoke(app(), ["leaderboard", str(tmp_path / "bad")])
    assert done.exit_code == 0
    assert "Failed: odd-run" in done.stdout
    assert "No finished runs to rank." in done.stdout
