"""Runs on a Ray cluster of two nodes on this machine: same records, lost workers, failures, mistakes."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_launch import make_plans, same

from rsbench import __version__
from rsbench.engine import ray_cluster
from rsbench.engine.launch import Launch, run_plans
from rsbench.errors import UserError
from rsbench.plan import RunPlan

pytest.importorskip("ray")

KILLS_ITSELF_ONCE, SLOW = 7, 8  # seeds

OBSERVER = f"""
import os, time
from rsbench import hookimpl

@hookimpl
def rsbench_run_start(plan):
    from rsbench.engine import train
    train.RESUME_SECONDS = 0
    path = os.path.join(plan.out, "starts.txt")
    with open(path, "a") as stream:
        stream.write(plan.run_id + "\\n")
    if plan.seed == {KILLS_ITSELF_ONCE} and open(path).read().count(plan.run_id) == 1:
        os.kill(os.getpid(), 9)

@hookimpl
def rsbench_epoch_end(plan, epoch, logs):
    time.sleep(0.1 if plan.seed == {SLOW} else 0)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """Two nodes of one CPU, whose workers have a plugin that tells of starts."""
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("plugin")
    (folder / "watcher.py").write_text(OBSERVER)
    info = folder / "watcher-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: watcher\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rsbench]\nwatcher = watcher\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        for name, value in ray_cluster.LOCAL_ENVIRONMENT.items():
            patch.setenv(name, value)
        small = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
        nodes = Cluster(initialize_head=True, head_node_args=small)
        nodes.add_node(num_cpus=1, object_store_memory=100 << 20)
        yield Launch(launcher="ray", address=nodes.address)
        nodes.shutdown()


def starts(plan: RunPlan) -> int:
    return (Path(plan.out) / "starts.txt").read_text().split().count(plan.run_id)


def kill_ray_worker(run_id: str) -> None:
    """Send SIGKILL to the Ray worker, whose title is the name of its task."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline()[:1] == [f"ray::{run_id}"]:
                os.kill(process.pid, signal.SIGKILL)
                return
    raise AssertionError("no Ray worker is at the run")


@pytest.mark.slow
def test_same_records_as_on_this_machine(tiny_root: Path, tmp_path: Path, cluster: Launch) -> None:
    local = run_plans(make_plans(tiny_root, tmp_path / "local", (0, 1)), on_event=lambda _: None)
    plans = make_plans(tiny_root, tmp_path / "ray", (0, 1))
    events: list[dict[str, Any]] = []
    ray = run_plans(plans, on_event=events.append, launch=cluster)
    assert [outcome.run_id for outcome in ray] == [plan.run_id for plan in plans]
    assert same(local) == same(ray)
    assert {e["run_id"] for e in events if e["type"] == "epoch"} == {p.run_id for p in plans[:2]}
    again = run_plans(plans, on_event=lambda _: None, launch=cluster)
    assert {outcome.status for outcome in again} == {"cached"}
    assert [starts(plan) for plan in plans] == [1, 1, 1]


@pytest.mark.slow
def test_run_of_a_killed_worker_is_taken_up_again(tiny_root: Path, tmp_path: Path, cluster: Launch) -> None:
    plans = make_plans(tiny_root, tmp_path, (0, SLOW), epochs=40)
    slow = next(plan for plan in plans if plan.seed == SLOW)
    seen: list[int] = []
    killed: list[int] = []

    def on_event(event: dict[str, Any]) -> None:
        if event["run_id"] == slow.run_id and event["type"] == "epoch":
            if not killed and (tmp_path / slow.run_id / "resume.pt").is_file():
                kill_ray_worker(slow.run_id)
                killed.append(event["epoch"])
            seen.append(event["epoch"])

    outcomes = run_plans(plans, on_event=on_event, launch=cluster)
    alone = run_plans(make_plans(tiny_root, tmp_path / "alone", (0, SLOW), epochs=40), on_event=lambda _: None)
    assert same(outcomes) == same(alone)
    assert starts(slow) == 2
    assert seen.count(1) == 1  # it went on where it was, not from the first epoch
    assert seen[-1] == 40


@pytest.mark.slow
def test_killed_process_is_started_again_but_an_error_is_not(
    tiny_root: Path,
    tmp_path: Path,
    cluster: Launch,
) -> None:
    (killed, *_) = make_plans(tiny_root, tmp_path, (KILLS_ITSELF_ONCE,))
    (diverges, *_) = make_plans(tiny_root, tmp_path, (0,), optimizer="sgd", lr=1e12)
    ok, failed = run_plans([killed, diverges], on_event=lambda _: None, launch=cluster)
    assert (ok.status, starts(killed)) == ("ok", 2)
    assert (failed.status, starts(diverges)) == ("failed", 1)
    assert "lower the learning rate" in str(failed.error)
    assert failed.record_path is not None


@pytest.mark.slow
def test_interrupted_runs_leave_their_state(tiny_root: Path, tmp_path: Path, cluster: Launch) -> None:
    plans = make_plans(tiny_root, tmp_path, (SLOW, 0, 1), epochs=300)
    pressed = []

    def on_event(event: dict[str, Any]) -> None:
        if event["run_id"] == plans[0].run_id and event["type"] == "epoch" and not pressed:
            pressed.append(event["epoch"])
            raise KeyboardInterrupt

    outcomes = run_plans(plans, on_event=on_event, launch=cluster)
    assert outcomes[0].status == "interrupted"
    assert (tmp_path / plans[0].run_id / "resume.pt").is_file()
    assert starts(plans[0]) == 1


@pytest.mark.slow
def test_too_small_a_cluster(
    tiny_root: Path,
    tmp_path: Path,
    cluster: Launch,
) -> None:
    plans = make_plans(tiny_root, tmp_path, (0,))
    with pytest.raises(UserError, match="No node of the Ray cluster has 1 CPUs and 2 GPUs"):
        run_plans(plans, on_event=lambda _: None, launch=Launch(launcher="ray", address=cluster.address, gpus=2))


def test_a_node_says_what_it_does_not_see(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    facts: dict[str, Any] = {"token": "token", "folder": os.getcwd(), "version": __version__}
    there = {"outs": (str(tmp_path),), "stores": (str(tmp_path),)}
    away = {"outs": (str(tmp_path / "out"),), "stores": (str(tmp_path / "store"),)}
    assert ray_cluster.look(ray_cluster.Places(**there, **facts)) == []
    out, store = ray_cluster.look(ray_cluster.Places(**away, **facts))
    assert "choose an --out on a file system that all nodes share" in out
    assert "choose a --data-root on a file system that all nodes share" in store
    (other,) = ray_cluster.look(ray_cluster.Places(**there, **facts | {"version": "0"}))
    assert f"has rsbench {__version__}, not 0" in other


def test_a_gpu_of_one_machine_cannot_be_asked_for(tiny_root: Path, tmp_path: Path) -> None:
    """Ray shows a run one GPU, which is then cuda:0."""
    plans = [dataclasses.replace(plan, device="cuda:1") for plan in make_plans(tiny_root, tmp_path, (0,))]
    with pytest.raises(UserError, match="give --device cuda in place of cuda:1"):
        run_plans(plans, on_event=lambda _: None, launch=Launch(launcher="ray"))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'rsbench\[ray\]'"):
        run_plans([], on_event=lambda _: None, launch=Launch(launcher="ray"))
