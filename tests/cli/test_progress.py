"""Progress in a terminal: names, states that fit, and the time left of all runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsbench.cli import progress


def plan(run_id: str, model: str = "net", seed: int = 0, dataset: str = "set", protocol: str = "p") -> Any:
    named = {"model": {"label": model}, "dataset": {"name": dataset}, "protocol": {"name": protocol}}
    return SimpleNamespace(run_id=run_id, seed=seed, recipe={"name": "r"}, **named)


def test_names_hold_what_tells_runs_apart() -> None:
    one = [plan("a-1"), plan("a-2", seed=1)]
    assert progress.short_names(one) == {"a-1": "net s0", "a-2": "net s1"}
    two = [plan("a-1"), plan("b-2", dataset="other")]
    assert progress.short_names(two) == {"a-1": "net set s0", "b-2": "net other s0"}
    alike = [plan("x-abc"), plan("x-def")]  # they differ in something that has no name
    assert progress.short_names(alike) == {"x-abc": "net s0 abc", "x-def": "net s0 def"}


@given(st.lists(st.tuples(st.text(min_size=1, max_size=60), st.integers(0, 99)), min_size=1, max_size=6, unique=True))
def test_names_are_short_and_differ(runs: list[tuple[str, int]]) -> None:
    named = progress.short_names([plan(f"run-{k:08x}", *found) for k, found in enumerate(runs)])
    assert all(len(name) <= progress.LONGEST for name in named.values())


EVENT = {"epoch": 12, "epochs": 30, "loss": 1.23456, "images_per_s": 12345.6, "eta_s": 3725}


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (80, "12/30  loss 1.235  val 84.10 %  12346 img/s  1:02:05 left"),
        (45, "12/30  loss 1.235  val 84.10 %  1:02:05 left"),
        (40, "12/30  val 84.10 %  1:02:05 left"),
        (20, "12/30  1:02:05 left"),
        (5, "12/30  1:02:05 left"),  # there is no less to say
    ],
)
def test_the_time_left_is_dropped_last(room: int, text: str) -> None:
    assert progress.state(EVENT, "val 84.10 %", room) == text


def test_the_time_left_of_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    clock = progress._Clock(4)
    assert clock.left() == ""
    now[0] = 160.0
    assert clock.progress("a", 1.0) == 1.0
    assert clock.progress("b", 0.5) == 1.5
    assert clock.left() == "about 1:40 left"  # 60 s for 1.5 runs of 4
    assert clock.progress("b", 0.2) == 1.5  # an interrupted epoch that is done again
