"""What the system or the terminal does not allow is one sentence and exit code 2."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rsbench.cli import main
from rsbench.engine.launch.local import LocalPool
from rsbench.errors import ENDING, UserError

LONG = "x" * 300
ROWS = "dataset,method,metric_name,metric_value,n_test,seed,name\nm-eurosat,linear,accuracy,0.9,100,0,net\n"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command in this process and return its exit code."""
    monkeypatch.setattr("rsbench.cli.heed_signals", lambda: None)
    monkeypatch.setattr(sys, "argv", ["rsbench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["leaderboard", LONG], "File name too long"),
        (["verify", LONG], "File name too long"),
        (["score", "--predictions", LONG, "--references", LONG], "File name too long"),
        (["evaluate", LONG, "scenes", "--model", "tiny-cnn"], "File name too long"),
        (["run", "--suite", LONG], "File name too long"),
        (["data", "prepare", "eurosat", "--source", LONG], "File name too long"),
        (["import", "rows.csv", "--out", "rows.csv"], "Not a directory"),
        (["import", "rows.csv", "--out", LONG], "File name too long"),
        (["schema", "record", "--unknown"], "No such option"),
    ],
)
def test_names_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ROWS)
    assert call(monkeypatch, *arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    assert "raised" not in shown  # commands of our plugins are no plugin's fault
    assert len(shown) < 800


def test_letters_that_the_terminal_lacks(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("typer.echo", lambda text, **_: stream.write("\u250f"))
    assert call(monkeypatch, "schema", "suite") == 2
    assert capsys.readouterr().err == (
        "rsbench: '\\u250f' cannot be written in latin-1; set PYTHONIOENCODING=utf-8 or write to a file.\n"
    )


def test_a_worker_is_not_started_where_it_could_not_say_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / LONG):
        plan: Any = SimpleNamespace(out=str(out), run_id="run")
        with pytest.raises(OSError, match=r"Not a directory|too long") as caught:
            LocalPool(1).start([plan])
        assert caught.value.errno in (errno.ENOTDIR, errno.ENAMETOOLONG)
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path / ("t" * 100)))
    plan = SimpleNamespace(out=str(tmp_path), run_id="run")
    with pytest.raises(UserError, match="set TMPDIR to another folder"):
        LocalPool(1).start([plan])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_plugins_are_loaded_ends_the_command_in_a_sentence(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = {each: signal.signal(each, signal.default_int_handler) for each in ENDING}
    monkeypatch.setattr("rsbench.cli.block_plugins", lambda _: signal.raise_signal(number))
    monkeypatch.setattr(sys, "argv", ["rsbench", "list", "models"])
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == "rsbench: interrupted.\n"
