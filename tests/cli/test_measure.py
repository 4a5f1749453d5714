"""What a run costs, by some of its steps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from rsbench.cli import measure
from rsbench.cli.app import build as app
from rsbench.cli.measure import Stopwatch, _Enough

SIZES = {"train": 600, "val": 300, "test": 300}


def told(events: list[tuple[float, dict[str, Any]]], limit: float | None = None) -> str:
    """What a stopwatch says of events at these seconds; nothing where they are not enough."""
    now = [0.0]
    watch = Stopwatch(SIZES, limit, lambda: now[0])
    try:
        for now[0], event in events:
            watch.event(event)
    except _Enough:
        return watch.said
    return ""


START = (10.0, {"type": "stage", "stage": "train"})


def progress(step: int) -> dict[str, Any]:
    return {"type": "progress", "epoch": 1, "epochs": 30, "step": step, "steps": 100}


def epoch(number: int, epochs: int) -> dict[str, Any]:
    return {"type": "epoch", "epoch": number, "epochs": epochs, "logs": {}}


def test_steps_after_the_first_are_counted() -> None:
    events = [START, (15.0, progress(1)), (19.0, progress(5)), (24.0, progress(10))]
    # One second a step: 30 epochs of 100 s, each validated in a sixth of it, and the test likewise.
    seconds = 10 + 30 * 100 * (1 + 1 / 6) + 100 / 6
    assert told(events) == f"about 58 min {round(seconds) - 58 * 60} s a run, 10 s of it to start, by 9 steps of 1 s"
    assert told(events[:-1]) == ""
    assert told(events, limit=60.0).startswith("about 1 min 27 s a run")


def test_epochs_count_where_they_are_short() -> None:
    events = [START, (13.0, epoch(1, 20)), (15.0, epoch(2, 20))]
    assert told(events) == "about 50 s a run, 10 s of it to start, by an epoch of 2 s"
    assert told([START, (13.0, epoch(1, 1))]) == "about 14 s a run, 10 s of it to start, by an epoch of 3 s"
    assert told([START, (13.0, epoch(1, 20))]) == ""


def test_on_the_command_line(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    where = ["--data-root", str(root), "--device", "cpu", "--threads", "1", "--epochs", "3", "--batch", "8"]
    call = ["run", "tiny-cnn,majority-class", "eurosat", "--seeds", "0,1", "--dry-run", *where]
    done = CliRunner().invoke(app("run"), [*call, "--measure"])
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.output.splitlines() if "measured" in line]
    assert "tiny-cnn on eurosat, " in line
    assert " a run, " in line
    assert " by an epoch of " in line or " steps of " in line
    assert [*tmp_path.iterdir()] == []  # nothing is kept
    said = CliRunner().invoke(app("run"), [*call[:-1], *where[-1:], "--measure", "--json"])
    assert str(said.exception) == "--measure goes with --dry-run, and without --json."


def test_each_configuration_is_measured_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(seed: int, batch: int) -> SimpleNamespace:
        model, recipe = {"label": "net", "kind": "network"}, {"name": "short", "batch": batch}
        facts = {"model": model, "recipe": recipe, "protocol": {"fingerprint": "f"}, "seed": seed}
        return SimpleNamespace(**facts, dataset={"name": "set"}, checkpoint=None, to_dict=lambda: facts)

    monkeypatch.setattr(measure, "_measured", lambda plan: f"batches of {plan.recipe['batch']}")
    measure.measure([plan(0, 8), plan(1, 8), plan(0, 16)])  # type: ignore[list-item]
    said = [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert said == ["batches of 8", "batches of 16"]
