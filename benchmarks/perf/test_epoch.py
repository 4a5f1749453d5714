"""An epoch of training and validation against torchgeo's task under a Trainer, each in fresh processes, in turn."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.peers import networks
from benchmarks.peers.dataset import prepare_store, select
from benchmarks.peers.measure import Job
from benchmarks.peers.peer import PEERS
from benchmarks.peers.run import in_process
from rsbench.engine.training.device import has_bf16

ROUNDS = 3
BF16 = has_bf16(torch.device("cpu"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("network", "images", "epochs", "least"),
    [(networks.TINY, (1_280, 320), 4, 15.0), (networks.RESNET, (320, 64), 2, 2.0 if BF16 else 1.0)],
)
def test_against_torchgeo(
    benchmark, real_data: Path, cache: Path, network: str, images: tuple[int, int], epochs: int, least: float
) -> None:
    """Each in the precision and memory layout that it chooses itself; without bf16 the large network gains little."""
    if PEERS["torchgeo"].missing:
        pytest.skip(f"torchgeo needs {', '.join(PEERS['torchgeo'].missing)}")
    prepare_store(real_data / "eurosat", cache)
    selection = select(real_data / "eurosat", cache, *images)
    task = Job("epoch", "torchgeo", str(selection.root), str(cache), network, epochs=epochs)
    theirs, ours = [], []
    for seed in range(ROUNDS):
        theirs.append(in_process(replace(task, seed=seed, layout="contiguous")))
        ours.append(in_process(replace(task, seed=seed, peer="rsbench", precision="auto")))
    ratios = {
        key: statistics.median(t[key] / o[key] for t, o in zip(theirs, ours, strict=True))
        for key in ("value", "cpu_value")
    }
    benchmark.extra_info.update(
        ours=statistics.median(o["value"] for o in ours),
        peer=statistics.median(t["value"] for t in theirs),
        unit="s",
        ratio=1 / ratios["value"],
        ratio_on_a_core=1 / ratios["cpu_value"],
    )
    benchmark.pedantic(lambda: in_process(replace(task, peer="rsbench", precision="auto")), rounds=1)
    assert ratios["cpu_value"] >= least
