"""Networks of which each of two gloo processes holds a slice, against the same runs of one process."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_distributed import SIZES, in_ranks, plan_of
from torch import nn

from rsbench.engine.events import Interrupted
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.parallel.fsdp import blocks
from rsbench.engine.parallel.ranks import SINGLE_PROCESS, Ranks
from rsbench.engine.parallel.world import RankInfo
from rsbench.engine.run import run
from rsbench.engine.tasks.evaluate import evaluate
from rsbench.engine.training import checkpoint
from rsbench.engine.training.device import make_fabric
from rsbench.plan import RunPlan
from rsbench.records.store import load_all
from rsbench.records.verify import verify
from rsbench.tasks.context import ModelContext

CPU = torch.device("cpu")
PHASES = [{"epochs": epochs, "train_only": what, "overrides": {}} for epochs, what in ((1, "head"), (2, None))]
WEIGHTS = [float(k) for k in range(1, 11)]
CASES: dict[str, dict[str, Any]] = {
    "phases": {"clip_grad": 0.5, "optimizer_options": {"momentum": 0.9}, "phases": PHASES},
    "interrupted": {"optimizer": "adamw", "lr": 1e-3, "loss_options": {"class_weights": WEIGHTS}},
}


class Block(nn.Module):
    """Convolution and BatchNorm on top of what comes; widths that two ranks cannot halve."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.norm(self.convolution(x)))


class Blocky(nn.Module):
    def __init__(self, context: ModelContext) -> None:
        super().__init__()
        self.stem = nn.Conv2d(context.channels, 7, 3, 4)
        self.blocks = nn.Sequential(Block(7), nn.Sequential(Block(7), nn.ReLU()))
        self.head = nn.Linear(7, context.num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(images)).mean((2, 3)))


def sharded(plan: RunPlan) -> RunPlan:
    return dataclasses.replace(plan, strategy="fsdp", protocol=plan.protocol | {"selection": "best_val"})


def ignore(event: dict[str, Any]) -> None:
    """Listen to nothing."""


def everything(root: Path, out: Path, place: RankInfo | None) -> dict[str, Any]:
    """Do all that is compared, as one rank of a world or alone."""
    import rsbench_scenes.network

    torch.set_num_threads(1)
    rsbench_scenes.network.tiny_cnn = Blocky  # type: ignore[assignment,misc]
    found: dict[str, Any] = {}
    for name, changes in CASES.items():
        plan = sharded(plan_of(root, out / name, **changes))
        if name == "interrupted" and place is not None:
            for strategy in ("fsdp", "ddp"):  # an epoch each; fsdp does the last
                with pytest.raises(Interrupted):
                    run.execute(dataclasses.replace(plan, strategy=strategy), ignore, lambda: True, place=place)
        found[name] = run.execute(plan, ignore, place=place)
    found["evaluated"] = {size: evaluated(size, place) for size in SIZES}
    return found | {"held": held(place)}


def held(place: RankInfo | None) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what this rank holds of each parameter."""
    model: nn.Module = Blocky(ModelContext(task="classification", channels=3, size=64, classes=("a", "b", "c")))
    if place is not None:
        model = make_fabric(CPU, "fp32", place, "fsdp").setup_module(model).module
    return {name: tuple(getattr(p, "_local_tensor", p).shape) for name, p in model.named_parameters()}


def evaluated(size: int, place: RankInfo | None) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and sample numbers of *size* samples."""
    images = np.random.default_rng(0).integers(0, 256, (size, 3, 8, 8), dtype=np.uint8)
    loader = ArrayLoader(
        images,
        np.arange(size),
        np.arange(size) % 5,
        np.arange(size),
        batch=3,
        device=CPU,
        normalization=Normalization((100.0,) * 3, (50.0,) * 3),
        bands=[0, 1, 2],
    )
    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    fabric = make_fabric(CPU, "fp32", place, "fsdp")
    if place is not None:
        model = fabric.setup_module(model).module
    ranks = SINGLE_PROCESS if place is None else Ranks(place.rank, place.world, sharded=True)
    result = evaluate(model, loader.shard(ranks), fabric)
    return result.logits, result.index


@pytest.fixture(scope="module")
def alone(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("alone")
    import rsbench_scenes.network

    original = rsbench_scenes.network.tiny_cnn
    try:
        return out, everything(tiny_root, out, None)
    finally:
        rsbench_scenes.network.tiny_cnn = original


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def together(
    tiny_root: Path, tmp_path_factory: pytest.TempPathFactory, request: Any
) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp(f"world{request.param}")
    return out, in_ranks(partial(everything, tiny_root, out), request.param)


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_one_process(
    alone: tuple[Path, dict[str, Any]], together: tuple[Path, list[dict[str, Any]]], case: str
) -> None:
    ours, other = together[1][0][case], alone[1][case]
    assert ours["error"] is None
    expected = [epoch["train_loss"] for epoch in other["train"]["curve"]]
    assert len(expected) == 3
    assert [epoch["train_loss"] for epoch in ours["train"]["curve"]] == pytest.approx(expected, abs=1e-5)
    assert ours["train"]["initial_loss"] == pytest.approx(other["train"]["initial_loss"], abs=1e-5)
    assert ours["train"]["selected_epoch"] == other["train"]["selected_epoch"]
    assert expected[0] != pytest.approx(expected[-1], abs=1e-3)  # it learns: the same is not nothing
    assert ours["env"]["ranks"] == {"count": len(together[1]), "nodes": 1, "strategy": "fsdp"}
    assert (ours["perf"]["params"], ours["perf"]["macs"]) == (other["perf"]["params"], other["perf"]["macs"])
    assert [check["ok"] for check in ours["checks"]] == [check["ok"] for check in other["checks"]]


@pytest.mark.parametrize("case", CASES)
def test_checkpoints_hold_whole_tensors(
    alone: tuple[Path, dict[str, Any]], together: tuple[Path, list[dict[str, Any]]], case: str
) -> None:
    name = f"{case}/{together[1][0][case]['run_id']}/{checkpoint.WEIGHTS}"
    expected, ours = load_file(alone[0] / name), load_file(together[0] / name)
    assert ours.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_allclose(ours[name].numpy(), tensor.numpy(), atol=1e-4)
    (loaded,) = load_all([together[0] / case])
    assert verify(loaded) == []


@pytest.mark.parametrize("size", SIZES)
def test_every_sample_is_evaluated_once(
    alone: tuple[Path, dict[str, Any]], together: tuple[Path, list[dict[str, Any]]], size: int
) -> None:
    logits, index = alone[1]["evaluated"][size]
    assert index.tolist() == list(range(size))
    for result in together[1]:
        assert result["evaluated"][size][1].tolist() == index.tolist()
        np.testing.assert_allclose(result["evaluated"][size][0], logits, atol=1e-6)


def test_ranks_hold_slices_that_make_up_the_network(
    alone: tuple[Path, dict[str, Any]], together: tuple[Path, list[dict[str, Any]]]
) -> None:
    for name, shape in alone[1]["held"].items():
        parts = [result["held"][name] for result in together[1]]
        assert sum(part[0] for part in parts) == shape[0]
        assert max(part[0] for part in parts) == -(-shape[0] // len(parts))
        assert {part[1:] for part in parts} == {shape[1:]}


def test_blocks_are_what_has_parts_and_stands_in_a_row() -> None:
    model = Blocky(ModelContext(task="classification", channels=3, size=64, classes=("a", "b")))
    inner, outer = model.blocks[1][0], model.blocks[1]  # type: ignore[index]
    found = blocks(model)
    assert set(found) == {model.blocks[0], outer, inner}
    assert found.index(inner) < found.index(outer)
