"""The number of threads follows what other processes leave of the machine, where that is faster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from rsbench import cores
from rsbench.engine.run import report
from rsbench.engine.training import resume, threads


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def timed(monkeypatch: pytest.MonkeyPatch, free: float, rate: dict[int, float]) -> list[tuple[int, int]]:
    """A machine of four cores, so many of them free, whose steps take as long as *rate* says; what was timed."""
    asked: list[tuple[int, int]] = []

    def faster(fewer: int, more: int, step: Any) -> int:
        asked.append((fewer, more))
        return max((fewer, more), key=rate.__getitem__)

    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    monkeypatch.setattr(threads, "faster_of", faster)
    return asked


@pytest.mark.parametrize(
    ("free", "rate", "count", "compared"),
    [
        (4.0, {}, 4, []),
        (3.6, {}, 4, []),  # what a few short processes take is no load
        (2.2, {2: 9.0, 4: 1.0}, 2, [(2, 4)]),
        (2.2, {2: 9.0, 4: 9.5}, 4, [(2, 4)]),
        (0.0, {1: 5.5, 4: 0.8}, 1, [(1, 4)]),
    ],
)
def test_threads_follow_the_load_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, free: float, rate: dict[int, float], count: int, compared: list[tuple[int, int]]
) -> None:
    asked = timed(monkeypatch, free, rate)
    assert threads.pin_threads(0, torch.float32) == count == torch.get_num_threads()
    assert asked == compared


def test_what_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = timed(monkeypatch, 0.0, {})
    assert threads.pin_threads(3, torch.float32) == 3 == torch.get_num_threads()
    assert threads.pin_threads(0) == 4 == torch.get_num_threads()
    assert not asked


@pytest.mark.parametrize(
    ("changes", "alone", "follows"),
    [
        ({}, True, True),
        ({"threads": 2}, True, False),
        ({"division": "throughput"}, True, False),  # speeds are those of all cores
        ({"model": {"kind": "estimator"}}, True, False),
        ({}, False, False),  # a rank
    ],
)
def test_only_a_run_that_trains_alone_looks(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], alone: bool, follows: bool
) -> None:
    asked = timed(monkeypatch, 1.0, {1: 2.0, 4: 1.0})
    plan = {"threads": 0, "device": "cpu", "recipe": {"precision": "fp32"}, "division": "closed"}
    plan |= {"model": {"kind": "network"}} | changes
    machine = report.Machine.prepare(SimpleNamespace(**plan), alone)  # type: ignore[arg-type]
    assert bool(asked) is follows
    assert machine.environment()["flags"]["threads"] == (1 if follows else changes.get("threads", 4))


def test_a_resumed_run_goes_on_with_the_threads_it_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = timed(monkeypatch, 1.0, {1: 2.0, 4: 1.0})
    resume.save({"threads": 1}, tmp_path)
    plan = {"threads": 0, "device": "cpu", "recipe": {"precision": "fp32"}, "division": "closed"}
    plan |= {"model": {"kind": "network"}}
    assert report.Machine.prepare(SimpleNamespace(**plan), folder=tmp_path).threads == 1  # type: ignore[arg-type]
    plan["threads"] = 2
    assert report.Machine.prepare(SimpleNamespace(**plan), folder=tmp_path).threads == 2  # type: ignore[arg-type]
    assert not asked


def test_free_cores_are_counted_among_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = [SimpleNamespace(idle=share) for share in (100.0, 0.0, 50.0, 100.0)]
    monkeypatch.setattr(psutil, "cpu_times_percent", lambda seconds, percpu: idle)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: [0, 1, 2], raising=False)
    assert threads.free_cores() == 1.5
    monkeypatch.undo()
    assert 0 <= threads.free_cores() <= cores.usable_cores()


def test_the_faster_number_is_found_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now, cost = [0.0], {1: 0.03, 2: 1.3}
    monkeypatch.setattr(threads.time, "perf_counter", lambda: now[0])

    def step() -> None:
        now[0] += cost[torch.get_num_threads()]

    assert threads.faster_of(1, 2, step) == 1
    cost[2] = 0.02
    assert threads.faster_of(1, 2, step) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_step_is_a_gradient_and_draws_nothing(dtype: torch.dtype) -> None:
    before = torch.get_rng_state()
    (gradient,) = threads.strided_convolution(dtype)()  # type: ignore[misc]
    assert gradient.shape == (64, 32, 3, 3)
    assert gradient.dtype == dtype
    assert gradient.float().abs().sum() > 0
    assert torch.equal(torch.get_rng_state(), before)
