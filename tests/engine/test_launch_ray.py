"""Runs on a Ray cluster of two nodes on this machine: same records, lost workers, failures, mistakes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from rsbench_ray import address as ray_address
from rsbench_ray import cluster as ray_cluster
from rsbench_ray import node as ray_node
from rsbench_ray.node import Needs, lacks
from test_launch import make_plans, same

from rsbench import __version__
from rsbench.engine.launch.launch import Launch, run_plans
from rsbench.errors import UserError
from rsbench.plan import RunPlan

pytest.importorskip("ray")

KILLS_ITSELF_ONCE, SLOW = 7, 8  # seeds

OBSERVER = f"""
import os, time
from rsbench import hookimpl

@hookimpl
def rsbench_run_start(plan):
    from rsbench.engine.training import trainer
    trainer.RESUME_SECONDS = 0
    path = os.path.join(plan.out, "starts.txt")
    with open(path, "a") as stream:
        stream.write(plan.run_id + "\\n")
    if plan.seed == {KILLS_ITSELF_ONCE} and open(path).read().count(plan.run_id) == 1:
        os.kill(os.getpid(), 9)

@hookimpl
def rsbench_epoch_end(plan, epoch, logs):
    time.sleep(0.1 if plan.seed == {SLOW} else 0)
"""

# Of a node that is started with another version.
VERSION = """
import os

if version := os.environ.get("RSBENCH_TEST_VERSION"):
    import rsbench

    rsbench.__version__ = version
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one CPU, whose workers have a plugin that tells of starts."""
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("plugin")
    (folder / "sitecustomize.py").write_text(VERSION)
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
        yield nodes
        nodes.shutdown()


@pytest.fixture
def cluster(nodes: Any) -> Launch:
    return Launch(launcher="ray", address=nodes.address)


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


@pytest.mark.slow
def test_a_node_of_other_code_that_joins_late_gets_no_runs(
    tiny_root: Path, tmp_path: Path, cluster: Launch, nodes: Any
) -> None:
    """It is named, and its runs go to the others."""
    plans = make_plans(tiny_root, tmp_path, (0, 1, SLOW), epochs=20)
    joined: list[Any] = []

    def on_event(event: dict[str, Any]) -> None:
        if not joined and event["type"] == "epoch":
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("RSBENCH_TEST_VERSION", "9.9.9")
                joined.append(nodes.add_node(num_cpus=2, object_store_memory=100 << 20))
        events.append(event)

    events: list[dict[str, Any]] = []
    outcomes = run_plans(plans, on_event=on_event, launch=cluster)
    nodes.remove_node(joined[0])
    warnings = [event["text"] for event in events if event["type"] == "warning"]
    (refused,) = [text for text in warnings if "9.9.9" in text]
    assert refused.endswith(f"has rsbench 9.9.9, not {__version__}; install the same version there. It gets no runs.")
    same(outcomes)
    for outcome in outcomes:
        assert outcome.record_path is not None
        assert json.loads(outcome.record_path.read_text())["env"]["rsbench"] == __version__


NOT_FOUND = b"\0\0\0\4\0\0\0\0\0\0\0\1\1\4\0\0\0\1\x8d"  # in HTTP/2: settings, and headers with status 404


@pytest.mark.parametrize("answer", [None, b"", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", NOT_FOUND])
def test_an_address_at_which_no_ray_answers_is_a_sentence_within_seconds(
    tiny_root: Path, tmp_path: Path, answer: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if answer is None:
            listening.close()
        elif answer:
            threading.Thread(target=lambda: listening.accept()[0].sendall(answer), daemon=True).start()
        launch = Launch(launcher="ray", address=f"127.0.0.1:{port}")
        with pytest.raises(UserError, match=f"at '127.0.0.1:{port}' cannot be used: .*. Is it up"):
            run_plans(make_plans(tiny_root, tmp_path, (0,)), on_event=lambda _: None, launch=launch)


def test_a_node_says_what_it_does_not_see(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = Needs.of(make_plans(tiny_root, tmp_path, (0, 1)))
    assert lacks(needs) == []
    assert len(needs.folders) == len(needs.stores) == 1
    away = dataclasses.replace(needs, folders=(str(tmp_path / "away" / "run"),), stores={str(tmp_path / "store"): "0"})
    out, store = lacks(away)
    assert f"does not see the folder '{tmp_path / 'away'}'; choose an --out on a file system that all" in out
    assert "does not see the data" in store
    assert "choose a --data-root on a file system that all nodes share" in store
    (data,) = lacks(dataclasses.replace(needs, stores=dict.fromkeys(needs.stores, "0")))
    assert "has other data in" in data
    (code,) = lacks(dataclasses.replace(needs, code=needs.code | {"rsbench": "0", "theirs": "0"}))
    assert "has other code of rsbench, theirs, or none" in code


def test_code_of_rsbench_and_of_plugins_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "theirs").mkdir()
    digests = set()
    for content in ("a = 1", "a = 2"):
        (tmp_path / "theirs" / "__init__.py").write_text("")
        (tmp_path / "theirs" / "part.py").write_text(content)
        digests.add(ray_node._digest("theirs"))
    assert len(digests) == 2
    assert {"rsbench", "convnets", "scenes"} <= ray_node.code().keys()


def test_a_gpu_of_one_machine_cannot_be_asked_for(tiny_root: Path, tmp_path: Path) -> None:
    """Ray shows a run one GPU, which is then cuda:0."""
    plans = [dataclasses.replace(plan, device="cuda:1") for plan in make_plans(tiny_root, tmp_path, (0,))]
    with pytest.raises(UserError, match="give --device cuda in place of cuda:1"):
        run_plans(plans, on_event=lambda _: None, launch=Launch(launcher="ray"))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'rsbench\[ray\]'"):
        run_plans([], on_event=lambda _: None, launch=Launch(launcher="ray"))
