"""Driving a pool: signals, groups that another process is at, workers that end in odd ways."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from test_launch import make_plans

from rsbench.engine.launch import pool as pools
from rsbench.engine.launch.launch import run_plans
from rsbench.engine.launch.pool import WAITED_FOR, drive
from rsbench.engine.launch.run_result import BUSY, Outcome, all_of
from rsbench.plan import RunPlan
from rsbench.records import store


@pytest.fixture(autouse=True)
def _signals_count() -> Iterator[None]:
    """A shell starts what runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def plans(tiny_root: Path, tmp_path: Path) -> list[RunPlan]:
    """Four plans of a baseline and a network."""
    return make_plans(tiny_root, tmp_path, (0, 1, 2))


class Pool:
    """Runs one group at a time: each *wait* does what is next in *script*, and returns the group's outcomes if told."""

    def __init__(self, *script: Callable[[Pool], str | None]) -> None:
        self.capacity = 1.0
        self.script: Iterator[Callable[[Pool], str | None]] = iter(script)
        self.group: list[RunPlan] = []
        self.done: list[Any] = []

    @property
    def running(self) -> int:
        return len(self.group)

    def start(self, plans: list[RunPlan], patient: bool = False) -> None:
        self.group = plans
        self.done.append(("start", plans[0].seed, patient))

    def wait(self, on_event: Callable[[dict[str, Any]], None]) -> list[Outcome]:
        status = next(self.script, lambda pool: "ok")(self)
        group = self.group
        if status is None:
            return []
        self.group = []
        return all_of(group, status, signal=signal.SIGTERM if status == "interrupted" else None)

    def stop(self) -> None:
        self.done.append("stop")

    def kill(self) -> None:
        self.done.append("kill")


def sends(*numbers: int, then: str | None = None) -> Callable[[Pool], str | None]:
    """Signal this process while the pool waits."""

    def step(pool: Pool) -> str | None:
        for number in numbers:
            os.kill(os.getpid(), number)
        return then

    return step


def raises(pool: Pool) -> str | None:
    raise KeyboardInterrupt


def statuses(outcomes: list[Outcome]) -> list[tuple[str, int | None]]:
    return [(outcome.status, outcome.signal) for outcome in outcomes]


LEFT = [("interrupted", signal.SIGINT)] * 3


@pytest.mark.parametrize(
    ("script", "expected", "asked"),
    [
        # a run that ends well, once it was asked to stop, is kept; the others are named
        ([sends(signal.SIGINT), lambda pool: "ok"], [*LEFT, ("ok", None)], ["stop"]),
        ([raises, lambda pool: "ok"], [*LEFT, ("ok", None)], ["stop"]),
        # the worker says what it was stopped by, and the command knows better
        ([sends(signal.SIGINT), lambda pool: "interrupted"], [*LEFT, LEFT[0]], ["stop"]),
        ([sends(signal.SIGINT, signal.SIGINT), lambda pool: "interrupted"], [*LEFT, LEFT[0]], ["stop", "kill"]),
        # a signal that comes together with the end of a run loses neither
        ([sends(signal.SIGINT, then="ok")], [*LEFT, ("ok", None)], ["stop"]),
        # a worker that was stopped alone stops the others
        ([lambda pool: "interrupted"], [("interrupted", signal.SIGTERM)] * 4, ["stop"]),
    ],
)
def test_what_an_interrupt_leaves(
    plans: list[RunPlan], script: list[Any], expected: list[tuple[str, int | None]], asked: list[str]
) -> None:
    pool = Pool(*script)
    before = signal.getsignal(signal.SIGINT)
    outcomes = drive(pool, [[plan] for plan in plans], lambda event: None)
    assert statuses(outcomes) == expected
    assert {outcome.run_id for outcome in outcomes} == {plan.run_id for plan in plans}
    assert [done for done in pool.done if isinstance(done, str)] == asked
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_is_heeded_by_programs_that_handle_it(plans: list[RunPlan], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line does; a program of which rsbench is a part ends by SIGTERM as it always did."""
    replaced = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        pool = Pool(sends(signal.SIGTERM, signal.SIGTERM), lambda pool: "interrupted")
        outcomes = drive(pool, [[plan] for plan in plans], lambda event: None)
        assert statuses(outcomes) == [("interrupted", signal.SIGTERM)] * 4
        assert [done for done in pool.done if isinstance(done, str)] == ["stop"]
        monkeypatch.setattr(pools, "INTERRUPT_GRACE_SECONDS", -1.0)
        pool = Pool(sends(signal.SIGTERM), lambda pool: ("kill" in pool.done and "interrupted") or None)
        drive(pool, [[plan] for plan in plans], lambda event: None)
        assert "kill" in pool.done
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pools.Signals():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, replaced)


def test_what_another_process_is_at_comes_last_and_is_waited_for(plans: list[RunPlan]) -> None:
    first, second, third, baseline = (plan.seed for plan in plans)
    pool, events = Pool(lambda pool: BUSY), []
    outcomes = drive(pool, [[plan] for plan in plans], events.append)
    assert pool.done == [("start", s, False) for s in (first, second, third, baseline)] + [("start", first, True)]
    assert statuses(outcomes) == [("ok", None)] * 4
    assert [e["run_id"] for e in events if e.get("text") == WAITED_FOR] == [plans[0].run_id]


def test_what_another_process_finishes_meanwhile_is_not_touched(tiny_root: Path, tmp_path: Path) -> None:
    """The second of two equal commands takes the lock once the first has ended."""
    (other, *_) = make_plans(tiny_root, tmp_path / "other", (0,))
    (plan, *_) = make_plans(tiny_root, tmp_path / "ours", (0,))
    run_plans([other], on_event=lambda event: None)
    folder = tmp_path / "ours" / plan.run_id
    folder.mkdir(parents=True)
    lock = FileLock(folder / ".lock", thread_local=False)
    lock.acquire()
    states: dict[Path, int] = {}

    def finish() -> None:
        for path in (tmp_path / "other" / plan.run_id).iterdir():
            if path.name in ("record.json", "model.safetensors", "predictions.parquet"):
                (folder / path.name).write_bytes(path.read_bytes())
                states[folder / path.name] = (folder / path.name).stat().st_mtime_ns
        (folder / "resume.pt").write_text("left by a process that was killed")
        lock.release()

    def on_event(event: dict[str, Any]) -> None:
        if event.get("text") == WAITED_FOR:
            threading.Timer(0.5, finish).start()

    (outcome,) = run_plans([plan], on_event=on_event)
    assert (outcome.status, outcome.record_path) == ("cached", folder / store.FILE)
    assert len(states) == 3
    assert {path: path.stat().st_mtime_ns for path in states} == states
    assert sorted(path.name for path in folder.iterdir()) == [".lock", *sorted(p.name for p in states), "run.log"]


def test_a_thread_that_a_plugin_leaves_running_ends_with_the_run() -> None:
    code = "import threading, time; from rsbench.engine.launch import process; process.THREAD_GRACE_SECONDS = 0.1\n"
    code += "threading.Thread(target=time.sleep, args=(3600,), name='leaked').start()\n"
    code += "print('done'); process.leave()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "'leaked'" in done.stderr
