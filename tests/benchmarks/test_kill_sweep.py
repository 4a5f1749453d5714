"""The sweep of kills itself, in small: see benchmarks/reliability."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from benchmarks.reliability.kill_sweep import Kill, Place, draw, left_files, results, trial


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("sweep"), texts=False)


def test_a_command_that_was_killed_with_all_its_processes_comes_to_the_same_end(place: Place) -> None:
    done = trial(place, "run", [Kill("all", signal.SIGKILL, epoch=3, moment=0.0)], random.Random(0))
    assert (done["struck"], done["faults"]) == (1, [])


def test_what_differs_and_what_is_left_is_seen(place: Place) -> None:
    (truth,) = place.folder.glob("truth-*/*/record.json")
    out = place.folder / "copy"
    shutil.copytree(truth.parent, out / "run")
    assert results(out) == place.truth("run")
    assert left_files(out) == []
    (out / "run" / "resume.pt").touch()
    assert left_files(out) == ["run/resume.pt"]
    for name in ("model.safetensors", "predictions.parquet"):
        before = (out / "run" / name).read_bytes()
        (out / "run" / name).write_bytes(before[:-1])
        assert results(out) != place.truth("run")
        (out / "run" / name).write_bytes(before)
    assert results(out) == place.truth("run")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["run", "parallel", "ranks", "multitask"])
def test_kills_at_random(tmp_path: Path, kind: str) -> None:
    rng = random.Random(kind)
    done = trial(Place.make(tmp_path, texts=kind == "multitask"), kind, draw(kind, 4, rng), rng)
    assert done["faults"] == []
