"""Pools of local workers: several runs at once leave the records of one after another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rsbench import cores
from rsbench.engine.launch.launch import Launch, run_plans
from rsbench.engine.launch.process import ending
from rsbench.engine.launch.run_result import Outcome
from rsbench.errors import UserError
from rsbench.execution import portable_command
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.registry import BLOCK_VARIABLE, registry


def make_plans(root: Path, out: Path, seeds: tuple[int, ...], **changes: Any) -> list[RunPlan]:
    """Plans of a network, one a seed, and of the majority class."""
    request = RunRequest(
        models=(("tiny-cnn", {}), ("majority-class", {})),
        dataset="eurosat",
        data_root=root,
        out=str(out),
        seeds=seeds,
        changes={"precision": "fp32", "epochs": 2, "batch": 8} | changes,
        threads=1,
        device="cpu",
    )
    return expand(request)


def same(outcomes: list[Outcome]) -> list[Any]:
    """What records must agree in, whatever ran them."""
    assert {outcome.status for outcome in outcomes} == {"ok"}, outcomes
    records = [json.loads(outcome.record_path.read_text()) for outcome in outcomes if outcome.record_path]
    return [
        (r["run_id"], r["plan"], r["metrics"], r["by_group"], r["artifacts"]["predictions"]["sha256"]) for r in records
    ]


def test_two_at_once_leave_the_records_of_one_after_another(tiny_root: Path, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    one = run_plans(make_plans(tiny_root, tmp_path / "one", (0, 1, 2)), on_event=lambda _: None)
    plans = make_plans(tiny_root, tmp_path / "two", (0, 1, 2))
    two = run_plans(plans, on_event=events.append, launch=Launch(parallel=2))
    assert [outcome.run_id for outcome in two] == [plan.run_id for plan in plans]
    assert same(one) == same(two)
    assert {e["run_id"] for e in events if e["type"] == "done"} == {plan.run_id for plan in plans}
    again = run_plans(plans, on_event=lambda _: None, launch=Launch(parallel=2))
    assert {outcome.status for outcome in again} == {"cached"}


def test_parallel_runs_divide_the_cores(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = cores.usable_cores()
    (plan, *_) = expand(
        RunRequest(
            models=(("majority-class", {}),), dataset="eurosat", data_root=tiny_root, out=str(tmp_path), device="cpu"
        )
    )
    (outcome,) = run_plans([plan], on_event=lambda _: None, launch=Launch(parallel=max(2, every)))
    assert outcome.record_path is not None
    assert json.loads(outcome.record_path.read_text())["env"]["flags"]["threads"] == 1
    monkeypatch.setenv(cores.ALLOTTED, "1")
    assert cores.usable_cores() == 1
    monkeypatch.setenv(cores.ALLOTTED, "100000")
    assert cores.usable_cores() == every


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        ({"address": "auto"}, "need --launcher ray"),
        ({"gpus": 0.5}, "need --launcher ray"),
        ({"launcher": "slurm"}, "not one of local, ray"),
    ],
)
def test_mistakes(launch: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Launch(**launch)


def test_without_its_plugin_a_launcher_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, "ray")
    registry.cache_clear()
    try:
        for launch, message in (
            ({"launcher": "ray"}, "'ray' is not one of local"),
            ({"address": "auto"}, "need a launcher that is not installed"),
        ):
            with pytest.raises(UserError, match=message):
                Launch(**launch)  # type: ignore[arg-type]
    finally:
        registry.cache_clear()


def test_a_record_does_not_say_where_it_was_made() -> None:
    command = "rsbench run --suite s.yaml --launcher ray --ray-address=10.0.0.1:6379 --parallel 4 --cpus-per-run 2 -q"
    assert portable_command(command) == "rsbench run --suite s.yaml"


def build_dying(context: Any, how: str) -> Any:
    """Build no network: a plugin's code ends the worker."""
    {"exits": lambda: os._exit(0), "is killed": lambda: os.kill(os.getpid(), 9), "crashes": os.abort}[how]()


def test_how_a_worker_died_is_named_and_costs_its_own_run(tiny_root: Path, tmp_path: Path) -> None:
    network, baseline = make_plans(tiny_root, tmp_path, (0,))
    plans = [baseline]
    for how in ("exits", "is killed", "crashes"):
        model = {"factory": f"{__name__}:build_dying", "distribution": "rsbench-theirs", "options": {"how": how}}
        plans.insert(0, replace(network, model=network.model | model, run_id=how.replace(" ", "-")))
    crashes, killed, exits, other = run_plans(plans, on_event=lambda _: None)
    begin = "The worker process of model 'tiny-cnn' (distribution 'rsbench-theirs')"
    assert crashes.error == f"{begin} was ended by SIGABRT; see run.log in the folder of the run."
    assert killed.error == f"{begin} was ended by SIGKILL (the system ran out of memory?)."
    assert exits.error == f"{begin} ended with exit code 0; see run.log in the folder of the run."
    assert "in build_dying" in (tmp_path / "crashes" / "run.log").read_text()
    assert other.status == "ok"


def test_every_end_of_a_process_can_be_told() -> None:
    assert [ending(-number, "a.log").partition(";")[0] for number in (15, 34, 35, 64)] == [
        "was ended by SIGTERM",
        "was ended by SIGRTMIN",
        "was ended by signal 35",
        "was ended by SIGRTMAX",
    ]


def end_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), 9)
    return number


def test_a_process_that_shares_work_and_is_killed_is_a_sentence() -> None:
    with cores.Processes(int) as processes:
        processes.open(2)
        with pytest.raises(UserError, match=r"A process that shares the work was ended .*; RSBENCH_CORES=1 does"):
            list(processes.map(end_at_three, range(9)))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("run.log", Path.mkdir),
        ("run.log", os.mkfifo),
        ("record.json", os.mkfifo),
        ("record.json", lambda path: path.symlink_to("/dev/zero")),
        ("predictions.parquet", lambda path: path.symlink_to(__file__)),
        ("predictions.parquet", lambda path: path.symlink_to("/nowhere/yet")),
    ],
)
def test_what_is_in_the_way_of_a_runs_files_is_refused_before_the_run(
    name: str, put: Callable[[Path], object], tiny_root: Path, tmp_path: Path
) -> None:
    plan = make_plans(tiny_root, tmp_path, (0,))[-1]
    path = tmp_path / plan.run_id / name
    path.parent.mkdir()
    put(path)
    with pytest.raises((UserError, OSError), match=f"this is no plain file: .*{name}"):
        run_plans([plan], on_event=lambda _: None)
