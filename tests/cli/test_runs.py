"""Runs as things: what became of each, its log, and what may be removed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner, Result

from rsbench.cli.app import build
from rsbench.cli.complete import runs as complete
from rsbench.cli.human import size
from rsbench.engine.launch.launch import run_plans
from rsbench.engine.launch.run_folders import find_run, run_at
from rsbench.engine.launch.run_log import RunLog
from rsbench.engine.launch.run_result import Outcome, begin, settle
from rsbench.errors import UserError
from rsbench.files import TEMPORARY
from rsbench.metrics.display import duration
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.recipes import changes_of
from rsbench.records import store
from rsbench.records.blank import blank_record


def plans_of(root: Path, out: Path, **request: Any) -> list[RunPlan]:
    common: dict[str, Any] = {"models": (("majority-class", {}),), "device": "cpu", "threads": 1, "seeds": (0,)}
    return expand(RunRequest(dataset="eurosat", data_root=str(root), out=str(out), **(common | request)))


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """The plan of a run that was done."""
    (plan,) = plans_of(root, tmp_path_factory.mktemp("runs"), command="rsbench run majority-class eurosat")
    assert [outcome.status for outcome in run_plans([plan], on_event=lambda _: None)] == ["ok"]
    return plan


@pytest.fixture
def folder(finished: RunPlan, root: Path, tmp_path: Path) -> Iterator[Path]:
    """A run in each state: those of a network by their seeds, failed 1, interrupted 2, running 3, damaged 4."""
    out = tmp_path / "rsbench-results"
    shutil.copytree(finished.out, out)
    failed, interrupted, running, damaged = plans_of(root, out, models=(("tiny-cnn", {}),), seeds=(1, 2, 3, 4))
    record = blank_record(failed.run_id, failed.public_dict())
    record |= {
        "error": {"stage": "train", "type": "RunError", "message": "The loss became nan."},
        "timing": {"total": 7.0},
    }
    store.save(record | {"created": "2026-01-01T00:00:00Z"}, out / failed.run_id)
    begin([interrupted])
    (out / interrupted.run_id / "resume.pt").write_bytes(b"state")
    begin([running])
    (out / damaged.run_id).mkdir()
    (out / damaged.run_id / store.FILE).write_text("{")
    with FileLock(out / running.run_id / ".lock", thread_local=False):
        yield out


@pytest.fixture
def runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call ``rsbench runs`` beside the folder."""
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments, **options: CliRunner().invoke(build(), ["runs", *arguments], **options)


def states(result: Result) -> dict[int, str]:
    return {run["seed"]: run["state"] for run in json.loads(result.stdout) if run["model"] == "tiny-cnn"}


def test_each_state_is_told(runs: Callable[..., Result], finished: RunPlan) -> None:
    found = json.loads(runs("--json").stdout)
    assert {run["state"] for run in found} == {"finished", "failed", "interrupted", "running", "damaged"}
    assert [run["when"] for run in found] == sorted((run["when"] for run in found), reverse=True)
    assert states(runs("list", "eurosat-tiny-cnn", "--json")) == {1: "failed", 2: "interrupted", 3: "running"}
    (done,) = json.loads(runs("--state", "finished", "--json").stdout)
    record = store.load(Path(finished.out) / finished.run_id)
    assert (done["run_id"], done["score"]) == (finished.run_id, record["metrics"]["overall_accuracy"]["value"])
    assert done["bytes"] == sum(p.stat().st_size for p in (Path(finished.out) / finished.run_id).iterdir())
    (broken,) = json.loads(runs("--state", "damaged", "--json").stdout)
    assert "cannot be read as a record" in broken["problem"]
    assert "no state" in str(runs("--state", "done").exception)


@pytest.mark.parametrize("width", [60, 80, 110, 140, 200])
def test_the_table_keeps_names_at_any_width(
    runs: Callable[..., Result], finished: RunPlan, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    *lines, _ = runs().stdout.splitlines()
    assert max(map(len, lines)) <= width
    (line,) = [line for line in lines if finished.run_id[-8:] in line]
    assert "majority-class" in line
    assert "finished" in line
    assert sum("tiny-cnn" in line for line in lines) >= 3
    assert ("in-domain-60-20-20" in line) == (width >= 160)


def test_a_run_is_found_by_what_is_its_own(folder: Path, finished: RunPlan) -> None:
    run_id = finished.run_id
    names = [
        run_id,
        run_id[-8:],
        run_id[-8:][:5],
        "eurosat-maj",
        str(folder / run_id),
        str(folder / run_id / store.FILE),
    ]
    assert {find_run(name, folder).run_id for name in names} == {run_id}
    with pytest.raises(UserError, match=r"4 runs in .* are called 'eurosat-tiny'"):
        find_run("eurosat-tiny", folder)
    with pytest.raises(UserError, match="Did you mean"):
        find_run(run_id.replace("majority", "majorty"), folder)
    context: Any = type("Context", (), {"params": {"out": folder}})
    assert complete(context, run_id[:12]) == [run_id]
    assert complete(context, run_id[-8:][:5]) == [run_id[-8:]]
    assert complete(type("Context", (), {"params": {"out": folder / "none"}}), "a") == []  # type: ignore[arg-type]


def test_show_says_what_a_person_wants_to_know(runs: Callable[..., Result], finished: RunPlan, folder: Path) -> None:
    said = runs("show", finished.run_id[-8:]).stdout
    for words in (
        "state       finished",
        "majority-class (rsbench",
        "overall_accuracy",
        "95 % CI",
        "record.json",
        "next",
    ):
        assert words in said
    assert "command     rsbench run majority-class eurosat" in said
    data = json.loads(runs("show", finished.run_id, "--json").stdout)
    assert data["record"] == store.load(folder / finished.run_id)
    shown = CliRunner().invoke(build(), ["show", finished.run_id[-8:]])
    assert str(shown.exception).endswith(f"is a run: type rsbench runs show {finished.run_id[-8:]}.")
    failed = next(run for run in json.loads(runs("--json").stdout) if run["state"] == "failed")
    said = runs("show", failed["run_id"]).stdout
    assert "took 7 s: train: The loss became nan." in said
    assert f"rsbench runs rm {failed['run_id'][-8:]}" in said


def test_a_board_says_what_removes_failures(runs: Callable[..., Result], folder: Path) -> None:
    board = CliRunner().invoke(build(), ["leaderboard"])
    assert "Failed: eurosat-tiny-cnn" in board.stdout
    assert board.stderr.splitlines()[-1] == "Next:  rsbench runs list --state failed; rsbench runs clean"
    assert runs("clean", "--yes").exit_code == 0
    assert "Failed" not in CliRunner().invoke(build(), ["leaderboard"]).stdout


def test_changes_of_the_recipe_are_shown(root: Path, tmp_path: Path) -> None:
    model = (("tiny-cnn", {}),)
    (plain,) = plans_of(root, tmp_path, models=model)
    (changed,) = plans_of(root, tmp_path, models=model, changes={"epochs": 3, "loss_options.label_smoothing": 0.1})
    assert changes_of(plain.recipe) == {}
    assert changes_of(changed.recipe) == {"epochs": 3, "loss_options.label_smoothing": 0.1}
    (without,) = plans_of(root, tmp_path, models=model, changes={"augmentation": {}, "loss": "focal"})
    assert changes_of(without.recipe) == {"augmentation": {}, "loss": "focal"}


def test_only_what_may_go_is_removed(runs: Callable[..., Result], folder: Path, finished: RunPlan) -> None:
    by_state = {run["state"]: Path(run["folder"]).name for run in json.loads(runs("--json").stdout)}
    assert "is running" in str(runs("rm", by_state["running"], "--yes").exception)
    assert "Nothing was removed" in runs("rm", by_state["finished"], input="y\n").stdout
    assert isinstance(runs("rm", by_state["finished"], input="").exception, UserError)
    assert (folder / by_state["finished"]).is_dir()
    assert runs("rm", by_state["failed"], by_state["interrupted"], input="y\n").exit_code == 0
    assert {path.name for path in folder.iterdir()} == {by_state[s] for s in ("finished", "running", "damaged")}
    assert runs("rm", by_state["finished"], input="remove\n").exit_code == 0
    assert not (folder / finished.run_id).exists()


def test_a_folder_with_other_runs_below_is_not_removed(runs: Callable[..., Result], folder: Path) -> None:
    shutil.copy(next(folder.glob("*majority*/record.json")), folder)
    result = runs("rm", str(folder), "--yes")
    assert "holds other runs" in str(result.exception)
    assert len([*folder.glob("*/")]) == 5


def test_clean_removes_failures_old_states_and_temporary_files(runs: Callable[..., Result], folder: Path) -> None:
    left = next(folder.glob("*majority*")) / ".record.json.node-1-1.tmp"
    assert TEMPORARY.fullmatch(left.name)
    left.write_text("cut sho")
    os.utime(left, (0, 0))
    dry = runs("clean", "--dry-run").stdout
    assert "Nothing was removed." in dry
    assert left.exists()
    before = {path.name for path in folder.iterdir()}
    assert "Removed 1 run and 1 temporary file." in runs("clean", "--yes").stdout
    assert not left.exists()
    (gone,) = before - {path.name for path in folder.iterdir()}
    assert "tiny-cnn" in gone
    assert "-s1-" in gone
    assert "Removed 1 run." in runs("clean", "--older-than", "0", "--yes").stdout  # the interrupted one, and none else
    assert "nothing to clean" in runs("clean", "--older-than", "0", "--yes").stdout


def test_the_log_of_a_run(runs: Callable[..., Result], finished: RunPlan) -> None:
    lines = runs("log", finished.run_id).stdout.splitlines()
    said = [line.partition(" ")[2] for line in lines]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines), lines
    assert "command: rsbench run majority-class eurosat" in said
    assert [line for line in said if line.startswith("stage")] == [
        f"stage: {s}" for s in ("data", "build", "fit", "score")
    ]
    assert said[-1].startswith("finished in ")
    assert "overall_accuracy" in said[-1]


def test_a_log_is_appended_to_and_foreign_words_stay_in_their_line(root: Path, tmp_path: Path) -> None:
    (plan,) = plans_of(root, tmp_path)
    begin([plan])
    log = RunLog([plan])
    log.event({"type": "resumed", "epoch": 3, "step": 7})
    log.event({"type": "progress"})
    log.event({"type": "warning", "text": "one\ntwo \x1b[31m\ud800"})
    logs = {"train_loss": 0.5, "val_accuracy": 0.875, "seconds": 1.25}
    log.event({"type": "epoch", "epoch": 4, "epochs": 9, "logs": logs})
    log.end([Outcome(plan.run_id, "failed", error="no")])
    log.end([Outcome(plan.run_id, "interrupted")])
    said = [line.partition(" ")[2] for line in log.path.read_text().splitlines()]
    assert said[0] == "resumes from a saved state: 3 epochs and 7 steps are done"
    assert said[1].startswith("warning: one two ")
    assert "\x1b" not in said[1]
    assert said[2:] == [
        "epoch 4/9: loss 0.5000, val 87.50 %, 1.2 s",
        "failed: no",
        "interrupted; the same command resumes",
    ]


def test_members_of_a_family_are_running_with_their_first(root: Path, tmp_path: Path) -> None:
    plans = plans_of(root, tmp_path, models=(("tiny-cnn", {}),), seeds=(0, 1))
    begin(plans)
    (lead, other) = (tmp_path / plan.run_id for plan in plans)
    with FileLock(lead / ".lock", thread_local=False):
        assert [run.state for run in map(run_at, (lead, other)) if run] == ["running", "running"]
    assert [run.state for run in map(run_at, (lead, other)) if run] == ["interrupted", "interrupted"]
    settle(plans)
    assert run_at(other) is None


def test_durations_and_sizes_are_read_at_once() -> None:
    assert [duration(s) for s in (None, 0, 0.004, 0.84, 8.84, 42.6, 59.7, 398, 3599.7, 4380)] == [
        "-",
        "0 s",
        "< 0.01 s",
        "0.84 s",
        "8.8 s",
        "43 s",
        "1 min 0 s",
        "6 min 38 s",
        "1 h 0 min",
        "1 h 13 min",
    ]
    assert [size(n) for n in (0, 999, 1000, 1_257_440, 42e9)] == ["0 B", "999 B", "1.0 kB", "1.3 MB", "42 GB"]


def test_commands_of_runs_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"COMP_WORDS": "rsbench runs s", "COMP_CWORD": "2", "_RSBENCH_COMPLETE": "complete_bash"}
    done = CliRunner().invoke(build(), [], prog_name="rsbench", env=words)
    assert done.stdout.split() == ["show"]


def test_what_is_left_and_what_comes_next_is_said(
    root: Path, finished: RunPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished.out, tmp_path / "results")
    where = ["--data-root", str(root), "--out", "results", "--device", "cpu", "--threads", "1"]
    again = ["run", "majority-class", "eurosat", "--seeds", "0", *where]
    done = CliRunner().invoke(build(), [*again, "--observer", "mllog"])
    assert done.stderr.splitlines()[-3:] == [
        f"Files: results/{finished.run_id}",
        f"MLPerf log: results/{finished.run_id}/mllog.txt",
        f"Next:  rsbench runs show {finished.run_id[-8:]} --out results; rsbench leaderboard results",
    ]
    assert "Next" not in done.stdout
    for silent in ("--json", "--quiet"):
        assert "Next" not in CliRunner().invoke(build(), [*again, silent]).output
    board = CliRunner().invoke(build(), ["leaderboard", "results", "--format", "latex", "--output", "board.tex"])
    assert board.stderr.splitlines()[-1] == "Files: board.tex, board.bib"
    assert "type rsbench run" in str(CliRunner().invoke(build(), ["leaderboard"]).exception)
