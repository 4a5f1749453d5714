"""Ranks started by rsbench, by torchrun and by SLURM; ranks that are lost; requests that several devices cannot meet."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed import TCPStore

from rsbench.engine.events import Interrupted
from rsbench.engine.launch import rank_process, supervisor
from rsbench.engine.launch.launch import run_plans
from rsbench.engine.launch.supervisor import Board, Supervisor
from rsbench.engine.parallel import world
from rsbench.engine.parallel.world import LaunchEnvironment, RankInfo
from rsbench.errors import UserError
from rsbench.execution import Execution
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.records.store import load_all
from rsbench.records.verify import verify
from rsbench.registry import registry

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
    "WORLD_SIZE": "4",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
}
SLURM = {
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_ID": "1234",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "16",
    "SLURM_NTASKS_PER_NODE": "8",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NODELIST": "gpu[03-04]",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rsbench.data.prepare import prepare
    from rsbench.registry import registry
    from rsbench.specs import load_attribute

    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=12)
    prepare(spec, folder / "files", folder)
    return folder


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*TORCHRUN, *SLURM, "SLURM_RESTART_COUNT", "SLURM_CPUS_PER_TASK", "TORCHELASTIC_USE_AGENT_STORE"):
        monkeypatch.delenv(name, raising=False)
    world.detect_launcher.cache_clear()
    yield
    world.detect_launcher.cache_clear()


def request_of(root: Path, out: Path, model: str = "tiny-cnn", **given: Any) -> RunRequest:
    changes = {"precision": "fp32", "epochs": 2, "batch": 8, "schedule": "constant", "schedule_options": {}}
    settings: dict[str, Any] = {"changes": changes, "threads": 1, "device": "cpu", "seeds": (0,), "devices": 2}
    names = {"dataset": "eurosat", "data_root": root, "out": str(out)}
    return RunRequest(models=((model, {}),), **names | settings | given)


def plan_of(root: Path, out: Path, **given: Any) -> RunPlan:
    return expand(request_of(root, out, **given))[0]


@pytest.mark.parametrize("victim", [0, 1])
def test_killed_rank_ends_the_run_and_is_named(root: Path, tmp_path: Path, victim: int) -> None:
    pids: dict[int, int] = {}

    def on_event(event: dict[str, Any]) -> None:
        if event["type"] == "rank":
            pids[event["rank"]] = event["pid"]
        if event["type"] == "epoch" and event["epoch"] == 1:
            os.kill(pids[victim], signal.SIGKILL)

    plan = plan_of(root, tmp_path, changes={"epochs": 10_000, "batch": 8})
    (outcome,) = run_plans([plan], on_event=on_event)
    assert outcome.status == "failed"
    record = json.loads((tmp_path / plan.run_id / "record.json").read_text())
    assert record["error"]["type"] == "RankLost"
    assert record["error"]["message"].startswith(f"Rank {victim} of 2 was ended by SIGKILL")
    assert sorted(pids) == [0, 1]
    assert not any(is_running(pid) for pid in pids.values())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_number_of_devices_is_no_part_of_a_run(root: Path, tmp_path: Path) -> None:
    one, two = (plan_of(root, tmp_path, devices=n) for n in (1, 2))
    assert one.run_id == two.run_id
    assert one.public_dict() == two.public_dict()
    assert (one.devices, two.devices) == (1, 2)
    assert plan_of(root, tmp_path, model="majority-class").devices == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"strategy": "fsdp", "task": registry().get("task", "captioning")},
            "not for captioning; share a run of it by",
        ),
        ({"strategy": "fsdp", "recipe": {"ema": 0.99}}, "keeps no moving average of weights"),
        ({"strategy": "fsdp", "recipe": {"precision": "fp16"}}, "does not scale gradients of fp16"),
        ({"strategy": "fsdp", "recipe": {"optimizer": "filter-muon"}}, "not 'filter-muon', which needs whole"),
        ({"strategy": "fsdp", "recipe": {"phases": [{"overrides": {"optimizer": "lamb"}}]}}, "not 'lamb'"),
        ({"device": "cuda:1"}, "names one device; for 4 give --device cuda"),
        ({"samples": 3}, "A batch of 3 cannot be shared by 4 devices"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_a_sentence(given: dict[str, Any], message: str) -> None:
    fine: dict[str, Any] = {
        "task": registry().get("task", "classification"),
        "recipe": {"batch": 64},
        "samples": 100,
    }
    how = {k: v for k, v in given.items() if k not in fine}
    assert Execution(devices=2, nodes=2).too_wide(**fine) == []
    (found,) = Execution(devices=2, nodes=2, **how).too_wide(**fine | {k: v for k, v in given.items() if k in fine})
    assert message in found


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({**TORCHRUN, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "RANK": "0"}, None),
        ({k: v for k, v in SLURM.items() if k != "SLURM_STEP_ID"}, None),  # in a batch script, without srun
        (SLURM | {"SLURM_STEP_ID": "4294967290", "SLURM_JOB_NAME": "mine"}, None),  # salloc's interactive step
        (SLURM | {"SLURM_STEP_ID": "4294967291"}, None),  # that of the batch script
        (TORCHRUN, LaunchEnvironment(rank=3, world=4, local=1, devices=2, address="node0", key="none-0----29500")),
        (SLURM, LaunchEnvironment(rank=9, world=16, local=1, devices=8, address="gpu03", key="--1234--0-")),
        (
            SLURM | {"SLURM_RESTART_COUNT": "2"},
            LaunchEnvironment(rank=9, world=16, local=1, devices=8, address="gpu03", key="--1234-2-0-"),
        ),
    ],
)
def test_launchers_are_recognized(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: LaunchEnvironment | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert world.detect_launcher() == expected
    assert world.is_nonzero_rank() == (expected is not None)
    if expected is None:
        assert world.scale(3, 1) == (3, 1)
        with pytest.raises(UserError, match="--nodes 2 needs a process on each"):
            world.scale(1, 2)
        return
    sizes = (expected.devices, expected.nodes)
    assert world.scale(1, 1) == world.scale(*sizes) == sizes
    with pytest.raises(UserError, match="is not what was started"):
        world.scale(5, 1)
    (place,) = world.places({"devices": sizes[0], "nodes": sizes[1]})
    assert (place.rank, place.world, place.environment()["NODE_RANK"]) == (expected.rank, expected.world, "1")
    assert world.places({"devices": 1, "nodes": 1}) == []


def test_ranks_that_go_round_the_nodes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 9 of nodes with eight each is process 1 of the second node; as process 4 two ranks would be one."""
    for name, value in (SLURM | {"SLURM_LOCALID": "4"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="number the ranks one node after another"):
        world.detect_launcher()


@pytest.mark.parametrize(
    ("environment", "usable", "expected"),
    [
        ({}, 64, 8),  # all ranks are this process's
        ({"SLURM_CPUS_PER_TASK": "8"}, 64, 8),  # in a batch script, without srun
        (SLURM, 64, 8),
        (SLURM | {"SLURM_CPUS_PER_TASK": "8"}, 8, 8),  # srun has given this process its own
        (SLURM | {"SLURM_CPUS_PER_TASK": "8"}, 2, 2),
        (TORCHRUN | {"SLURM_CPUS_PER_TASK": "64"}, 64, 8),  # a torchrun on each node
        ({}, 3, 1),
    ],
)
def test_cores_of_a_rank(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], usable: int, expected: int
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    place = RankInfo(rank=9, world=16, local=1, devices=8, address="node0", port=1)
    assert world.cores_of(place, usable) == expected


def test_launches_that_look_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun has run id "none" and port 29500 each time, and notes of a launch that was killed lie in the folder."""
    assert world.token() == ""
    words = []
    for _ in range(2):
        agent = TCPStore("127.0.0.1", 0, is_master=True)
        given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(agent.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        words.append({world.token() for _rank in range(3)})
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
        words.append({world.token()})
        monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT")
    assert [len(of_launch) for of_launch in words] == [1, 1, 1, 1]
    assert len(set.union(*words)) == 4


def test_every_rank_hears_of_one_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each under srun looks after its own: what rank 2 notes rank 0 reads, and rank 1 reads what rank 0 passes on."""
    four = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    for name, value in (SLURM | four).items():
        monkeypatch.setenv(name, value)
    place = RankInfo(rank=0, world=4, local=0, devices=4, address="node0", port=1)
    plan: Any = SimpleNamespace(out=str(tmp_path), run_id="run")
    (tmp_path / "run").mkdir()
    ranks = [
        Supervisor(plan, [dataclasses.replace(place, rank=n, local=n)], lambda event: None, lambda: False)
        for n in range(4)
    ]
    ranks[2]._note(2, "was ended by SIGKILL")
    ranks[1]._read_board()
    assert ranks[1].errors == []
    for rank in (ranks[0], ranks[1], ranks[3]):
        rank._read_board()
    assert {rank._cause()["message"] for rank in ranks} == {"Rank 2 of 4 was ended by SIGKILL."}


def _hangs(connection: Connection, plan: RunPlan, place: RankInfo, environment: dict[str, str]) -> None:
    """A rank that is stopped where it waits for nothing, or one that waits for it; neither heeds SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection.send({"type": "alive", "at": "reducer.py:7 (wait)"})
    while True:
        if place.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        connection.send({"type": "alive", "at": "reducer.py:7 (wait)"})
        time.sleep(0.05)


def test_ranks_that_hang_are_named_and_do_not_outlive_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (rank_process, "main", _hangs),
        (supervisor, "SILENCE_SECONDS", 1.0),
        (supervisor, "STALL_SECONDS", 2.0),
        (supervisor, "SETTLE_SECONDS", 0.5),
    ):
        monkeypatch.setattr(module, name, value)
    plan: Any = SimpleNamespace(out=str(tmp_path), run_id="run")
    events: list[dict[str, Any]] = []
    places = [RankInfo(rank=n, world=2, local=n, devices=2, address="127.0.0.1", port=1) for n in range(2)]
    ranks = Supervisor(plan, places, events.append, lambda: len(events) >= 4)
    with pytest.raises(Interrupted):
        ranks.run()
    said = [event["text"] for event in events if event["type"] == "warning"]
    assert said == [
        "Rank 1 of 2 has not answered for 1 s: it hangs or is stopped.",
        "Nothing was heard of the run for 2 s: rank 0 is at reducer.py:7 (wait), rank 1 is at reducer.py:7 (wait).",
    ]
    assert not any(is_running(event["pid"]) for event in events if event["type"] == "rank")


def test_ranks_that_do_not_come_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each under srun looks after its own: of four processes only those of ranks 0 and 2 were started."""
    four = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    for name, value in (SLURM | four).items():
        monkeypatch.setenv(name, value)
    plan: Any = SimpleNamespace(out=str(tmp_path), run_id="run")
    (tmp_path / "run").mkdir()
    events: list[dict[str, Any]] = []
    place = RankInfo(rank=0, world=4, local=0, devices=4, address="node0", port=1)
    leader, other = (
        Supervisor(plan, [dataclasses.replace(place, rank=n, local=n)], events.append, lambda: True) for n in (0, 2)
    )
    with pytest.raises(Interrupted):
        other._meet()
    other._say("Rank 2 of 4 has not answered.")
    leader._meet()
    monkeypatch.setattr(supervisor, "AWAIT_SECONDS", 0.0)
    for _ in range(2):
        leader._read_board()
    assert [event["text"] for event in events] == [
        "Rank 2 of 4 has not answered.",
        "Rank 1, 3 of 4 did not come yet: was a process started for each?",
    ]


def test_notes_are_of_one_launch(tmp_path: Path) -> None:
    old, new = Board(tmp_path, "a"), Board(tmp_path, "b")
    old.put("port", 1)
    assert old.get("port") == 1
    assert new.get("port") is None
    new.put("here-1", True)
    assert new.all() == {"here-1": True}
    new.clear(others=True)
    assert (old.all(), new.all()) == ({}, {"here-1": True})
    new.clear()
    assert new.all() == {}


@pytest.mark.slow
def test_torchrun_gives_one_record_and_one_voice(root: Path, tmp_path: Path) -> None:
    options = ["--device", "cpu", "--threads", "1", "--seeds", "0,1", "--set", "epochs=2", "--set", "batch=8"]
    request = ["run", "tiny-cnn,majority-class", "eurosat", "--data-root", str(root), "--out", str(tmp_path), *options]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--standalone", "-m", "rsbench", *request]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 2/2") == 2  # of two seeds, by rank 0 alone
    records = load_all([tmp_path])
    assert len(records) == 3
    assert all(verify(loaded) == [] for loaded in records)
    counts = {r.record["plan"]["model"]["name"]: r.record["env"]["device"]["count"] for r in records}
    assert counts == {"tiny-cnn": 2, "majority-class": 1}


def test_ranks_go_on_together_after_sigterm_to_one(root: Path, tmp_path: Path) -> None:
    """Stopped after an epoch and taken up again: the curve is that of a run that was not stopped."""
    plan = plan_of(root, tmp_path / "parts", changes={"epochs": 12, "batch": 8, "optimizer": "sgd"})
    pids: dict[int, int] = {}

    def stop(event: dict[str, Any]) -> None:
        if event["type"] == "rank":
            pids[event["rank"]] = event["pid"]
        if event["type"] == "epoch" and event["epoch"] == 1:
            os.kill(pids[1], signal.SIGTERM)

    (first,) = run_plans([plan], on_event=stop)
    assert first.signal == signal.SIGTERM
    assert first.status == "interrupted"
    (rest,) = run_plans([plan], on_event=lambda event: None)
    whole = dataclasses.replace(plan, out=str(tmp_path / "whole"))
    (other,) = run_plans([whole], on_event=lambda event: None)
    curves = [
        [epoch["train_loss"] for epoch in json.loads(Path(str(o.record_path)).read_text())["train"]["curve"]]
        for o in (rest, other)
    ]
    assert len(curves[0]) == 12
    assert curves[0] == pytest.approx(curves[1], abs=1e-5)
