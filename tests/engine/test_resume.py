"""What a run resumes from is intact or is not used, whatever has become of the files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from one_run import one_run

from rsbench.engine.run.run import execute
from rsbench.engine.training import resume, trainer
from rsbench.plan import RunPlan

OLD: dict[str, Any] = {"identity": "run", "steps": 1, "weights": torch.arange(64.0)}
NEW: dict[str, Any] = OLD | {"steps": 2}


def damaged(data: bytes, at: float, how: str) -> bytes:
    """Return *data* with one bit flipped, cut off, cut out or added at a share of its length."""
    place = min(int(at * len(data)), len(data) - 1)
    if how == "flip":
        return data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
    return {"cut": data[:place], "drop": data[:place] + data[place + 1 :], "add": data[:place] + b"x" + data[place:]}[
        how
    ]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    resume.save(OLD, folder)
    resume.save(NEW, folder)
    return folder


def copy_of(saved: Path, name: str) -> Path:
    folder = saved.with_name(f"{saved.name}-{name}")
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(saved, folder))


@settings(max_examples=150, deadline=None)
@given(
    at=st.floats(0, 1), how=st.sampled_from(["flip", "cut", "drop", "add"]), both=st.booleans(), explain=st.booleans()
)
def test_a_damaged_state_is_never_used(saved: Path, at: float, how: str, both: bool, explain: bool) -> None:
    folder = copy_of(saved, "damaged")
    for name in (resume.FILE, resume.PREVIOUS)[: 1 + both]:
        (folder / name).write_bytes(damaged((folder / name).read_bytes(), at, how))
    said: list[str] = []
    found = resume.load(folder, said.append if explain else None)
    if both:
        assert found is None
    else:
        assert found is not None
        assert found["steps"] == 1
        assert torch.equal(found["weights"], OLD["weights"])
    assert len(said) == explain
    assert len(os.listdir(folder)) == (2 if not explain else 0 if both else 1)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: torch.save(NEW | {"steps": 99}, path),  # whole and readable, but not written by a run
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("garbage"),
        lambda path: path.unlink(),
    ],
)
def test_what_no_run_has_written_is_not_used(saved: Path, write: Any) -> None:
    folder = copy_of(saved, "foreign")
    write(folder / resume.FILE)
    found = resume.load(folder)
    assert found is not None
    assert found["steps"] == 1


def test_the_newest_state_is_used_and_torch_reads_it_as_well(saved: Path) -> None:
    found = resume.load(saved, pytest.fail)
    assert found is not None
    assert found["steps"] == torch.load(saved / resume.FILE, weights_only=True)["steps"] == 2


def test_a_process_killed_while_it_writes_a_state_leaves_the_one_before_it(saved: Path) -> None:
    folder = copy_of(saved, "killed")
    code = (
        "import os, pathlib, torch; from rsbench import files; from rsbench.engine.training import resume\n"
        "files.publish = lambda temporary, path: os.kill(os.getpid(), 9)\n"
        f"resume.save({{'steps': 3}}, pathlib.Path({str(folder)!r}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len(os.listdir(folder)) == 2  # the state before, and a temporary file
    found = resume.load(folder, pytest.fail)
    assert found is not None
    assert found["steps"] == 2
    resume.clear(folder)
    assert os.listdir(folder) == []


def plan_of(root: Path, out: Path) -> RunPlan:
    return one_run(root, out, {"epochs": 3, "batch": 8})


@pytest.mark.parametrize("both", [False, True])
def test_a_run_whose_state_was_damaged_comes_to_the_same_end(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, both: bool
) -> None:
    """Saved after each epoch and stopped after the second: from the state of the first, or from the beginning."""
    whole = execute(plan_of(tiny_root, tmp_path / "whole"), lambda event: None)
    plan = plan_of(tiny_root, tmp_path / "parts")
    folder = tmp_path / "parts" / plan.run_id
    monkeypatch.setattr(trainer, "RESUME_SECONDS", -1.0)
    epochs: list[int] = []
    with pytest.raises(trainer.Interrupted):
        execute(plan, lambda event: epochs.append(0) if event["type"] == "epoch" else None, lambda: len(epochs) == 2)
    for name in (resume.FILE, resume.PREVIOUS)[: 1 + both]:
        (folder / name).write_bytes(damaged((folder / name).read_bytes(), 0.5, "flip"))
    events: list[dict[str, Any]] = []
    rest = execute(plan, events.append)
    (warning,) = [event["text"] for event in events if event["type"] == "warning"]
    assert warning.endswith("starts from the beginning." if both else "resumes from resume.previous.pt.")
    assert [event["epoch"] for event in events if event["type"] == "epoch"] == ([1, 2, 3] if both else [2, 3])
    for artifact in ("predictions", "checkpoint"):
        assert rest["artifacts"][artifact]["sha256"] == whole["artifacts"][artifact]["sha256"]
    assert sorted(os.listdir(folder)) == ["model.safetensors", "predictions.parquet", "record.json"]


def test_a_disk_that_is_full_costs_the_state_and_not_the_run(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer, "RESUME_SECONDS", -1.0)
    monkeypatch.setattr(resume, "write_atomically", full)
    events: list[dict[str, Any]] = []
    assert execute(plan_of(tiny_root, tmp_path), events.append)["status"] == "ok"
    assert {e["text"] for e in events if e["type"] == "warning"} == {
        "The state to resume from cannot be written: [Errno 28] No space left on device."
    }
