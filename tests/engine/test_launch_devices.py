"""Runs at once on one machine: each sees GPUs of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rsbench.engine.launch import gpus
from rsbench.engine.launch.local import LocalPool
from rsbench.engine.parallel import world

TWO = """GPU 0: NVIDIA H200 (UUID: GPU-aaaa-1)
GPU 1: NVIDIA H200 (UUID: GPU-bbbb-2)
"""
MIG = """GPU 0: NVIDIA H200 (UUID: GPU-aaaa-1)
GPU 1: NVIDIA H200 (UUID: GPU-bbbb-2)
  MIG 3g.71gb     Device  0: (UUID: MIG-cccc-3)
  MIG 3g.71gb     Device  1: (UUID: MIG-dddd-4)
"""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus.installed_gpus.cache_clear()
    yield
    gpus.installed_gpus.cache_clear()


def plan(device: str = "auto", devices: int = 1) -> Any:
    return SimpleNamespace(device=device, devices=devices, out=".", run_id="run", to_dict=dict)


def seen(given: Any, slot: int) -> str | None:
    return gpus.environment(given, slot).get("CUDA_VISIBLE_DEVICES")


def lists(monkeypatch: pytest.MonkeyPatch, listed: str) -> None:
    """Let the driver's tool print this."""
    made = subprocess.CompletedProcess([], 0, stdout=listed)
    monkeypatch.setattr(gpus.subprocess, "run", lambda *_, **__: made)


def test_runs_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    lists(monkeypatch, TWO)
    assert [seen(plan(), slot) for slot in range(3)] == ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-aaaa-1"]
    assert seen(plan("cuda"), 1) == "GPU-bbbb-2"


def test_instances_stand_for_the_gpu_that_mig_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    lists(monkeypatch, MIG)
    assert gpus.visible_gpus() == ["GPU-aaaa-1", "MIG-cccc-3", "MIG-dddd-4"]


def test_only_gpus_that_the_user_shows_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6,7,5")
    assert [seen(plan(), slot) for slot in range(4)] == ["4", "6", "7", "5"]
    assert [seen(plan(devices=2), slot) for slot in range(3)] == ["4,6", "7,5", "4,6"]


@pytest.mark.parametrize(
    ("given", "visible"),
    [
        (plan("cpu"), "0,1"),
        (plan("cuda:1"), "0,1"),
        (plan(devices=2), "0,1"),  # one run takes them all
        (plan(), "0"),
        (plan(), ""),
        (plan(), "NoDevFiles"),
    ],
)
def test_otherwise_nothing_is_changed(monkeypatch: pytest.MonkeyPatch, given: Any, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert seen(given, 1) is None


def test_without_a_driver_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(gpus.subprocess, "run", missing)
    assert gpus.visible_gpus() == []


def test_ranks_of_a_launcher_keep_what_it_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(world, "detect_launcher", lambda: object())
    assert seen(plan(), 1) is None


def test_a_run_takes_the_place_of_the_one_that_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three at once the second ends; the next gets its GPU, and one alone sees them all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    started: list[dict[str, str]] = []

    class Context:
        def set_forkserver_preload(self, names: list[str]) -> None:
            pass

        def Pipe(self, duplex: bool) -> tuple[Any, Any]:
            return SimpleNamespace(close=lambda: None), SimpleNamespace(close=lambda: None)

        def Process(self, target: Any, args: tuple[Any, ...], name: str) -> Any:
            started.append(args[2])
            return SimpleNamespace(start=lambda: None)

    monkeypatch.setattr("multiprocessing.get_context", lambda method: Context())
    pool = LocalPool(3)
    for _ in range(3):
        pool.start([plan()])
    pool._workers.pop(1)
    pool.start([plan()])
    assert [made["CUDA_VISIBLE_DEVICES"] for made in started] == ["0", "1", "2", "1"]
    LocalPool(1).start([plan()])
    assert started[-1]["CUDA_VISIBLE_DEVICES"] == "0,1,2"
