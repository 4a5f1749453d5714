"""The sweep of kills itself, in small: see benchmarks/reliability."""

from __future__ import annotations

import random
import re
import signal

import pytest

from benchmarks.reliability import kill_sweep
from benchmarks.reliability.kill_sweep import Kill, Place, draw, trial


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("sweep"))


def test_a_command_that_was_killed_with_all_its_processes_comes_to_the_same_end(place: Place) -> None:
    done = trial(place, "run", [Kill("all", signal.SIGKILL, epoch=3, moment=0.0)], random.Random(0))
    assert (done["struck"], done["faults"]) == (1, [])


def test_what_is_left_or_differs_is_seen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_sweep, "KEPT", re.compile(r"record\.json"))
    monkeypatch.setitem(place.truths, "run", {})
    done = trial(place, "run", [], random.Random(0))
    results, left = done["faults"]
    assert results == "other results"
    assert "model.safetensors" in left


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["run", "parallel", "ranks", "multitask"])
def test_kills_at_random(place: Place, kind: str) -> None:
    rng = random.Random(kind)
    done = trial(place, kind, draw(kind, 4, rng), rng)
    assert done["faults"] == []
