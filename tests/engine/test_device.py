"""What a run sets on a GPU, and fp16, where there is none of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from one_run import one_run

from rsbench import hardware
from rsbench.cli import dry_run
from rsbench.engine.input.run_data import open_data
from rsbench.engine.parallel.world import RankInfo
from rsbench.engine.run import build, report, training_run
from rsbench.engine.run.run import execute
from rsbench.engine.step import snapshot
from rsbench.engine.training import device, trainer
from rsbench.engine.training.optimizers import make_optimizer
from rsbench.specs import RecipeSpec, to_jsonable

RECIPE: Final = {"batch": 8, "precision": "fp16", "clip_grad": 1.0, "augmentation": {}}


@pytest.fixture
def arithmetic() -> Iterator[None]:
    """Put torch's settings back."""
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = cudnn, benchmark


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize(("precision", "rounds"), [("fp32", False), ("bf16", True), ("fp16", True)])
def test_fp32_is_not_rounded_to_tf32(precision: str, rounds: bool) -> None:
    """Neither in products of matrices nor, where torch does so by default, in convolutions."""
    device.set_arithmetic(precision)
    assert torch.backends.cuda.matmul.allow_tf32 is rounds
    assert torch.backends.cudnn.allow_tf32 is rounds


@pytest.mark.parametrize(
    ("asked", "with_bf16", "without"),
    [("auto", "bf16", "fp32"), ("fp32", "fp32", "fp32"), ("bf16", "bf16", "bf16"), ("fp16", "fp32", "fp32")],
)
def test_only_auto_depends_on_the_processor(
    monkeypatch: pytest.MonkeyPatch, asked: str, with_bf16: str, without: str
) -> None:
    for has, expected in ((True, with_bf16), (False, without)):
        monkeypatch.setattr(hardware, "cpu_has_bf16", lambda has=has: has)
        assert device.select_precision(asked, torch.device("cpu")) == expected
    assert device.select_precision("fp16", torch.device("cuda")) == "fp16"


@pytest.mark.usefixtures("arithmetic")
def test_the_gpu_of_a_run_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not said of a tensor is said of the current device: pinned memory, random numbers, what hardware has."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bool(current))
    plan: Any = SimpleNamespace(threads=torch.get_num_threads(), device="cuda:1", recipe={"precision": "auto"})
    machine = report.Machine.prepare(plan)
    assert current == [machine.device] == [torch.device("cuda", 1)]
    assert machine.precision == "bf16"


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize(("asked", "gpus"), [("auto", 0), ("cpu", 0), ("auto", 2), ("cpu", 2), ("cuda:1", 2)])
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_dry_run_says_the_place_of_the_run(
    asked: str, gpus: int, precision: str, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "can_have_gpu", lambda: bool(gpus))
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: bf16)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(gpus))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    how = {"threads": torch.get_num_threads(), "device": asked, "recipe": {"precision": precision}}
    plan: Any = SimpleNamespace(model={"kind": "estimator"}, **how)
    machine = report.Machine.prepare(plan)
    assert dry_run._place(asked, precision) == (str(machine.device), machine.precision)


def test_random_numbers_go_on_on_another_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the state of the GPU in use is kept, so that a machine with fewer of them can go on."""
    given: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: torch.tensor([7], dtype=torch.uint8))
    monkeypatch.setattr(torch.cuda, "set_rng_state", given.append)
    state = snapshot.random_state()
    drawn = torch.rand(3)
    snapshot.set_random_state(state)
    assert torch.equal(torch.rand(3), drawn)
    (restored,) = given
    assert restored.tolist() == [7]


def test_a_factory_does_not_seed_the_gpu(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BMTA tries its DropBlock out with a seed of its own; dropout on a GPU would then be the same in all runs."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)  # by torch.manual_seed
    monkeypatch.setattr(torch.cuda, "manual_seed", seeds.append)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, **_: self)
    plan = dataclasses.replace(one_run(tiny_root, tmp_path, {}, model="bmta"), seed=3)
    build.build_network(build.make_task(plan, open_data(plan)), torch.device("cuda"))
    assert 0 in seeds
    assert seeds[-1] == 3


def test_a_rank_that_sees_its_own_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM may show each of four ranks one GPU, which all of them call the first."""
    place = RankInfo(rank=1, world=8, local=1, devices=4, address="localhost", port=1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(Fabric, "launch", lambda self: None)
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    strategy: Any = device.make_fabric(torch.device("cuda", 0), "bf16", place).strategy
    assert (strategy.root_device, strategy.num_processes, strategy.num_nodes) == (torch.device("cuda", 0), 4, 2)


def test_fp16_in_a_batch_script_needs_no_srun(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(Fabric, "launch", lambda self: None)
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    assert device.make_fabric(gpu, "fp16").strategy.root_device == gpu


def test_gradients_of_fp16_can_be_clipped() -> None:
    """Fabric refuses an optimizer that divides by the scale itself, as torch's fused ones do."""
    precision = MixedPrecision("16-mixed", "cpu")
    for clip, fused in ((1.0, False), (None, True)):
        recipe = to_jsonable(RecipeSpec(name="r", summary="s", precision="fp16", clip_grad=clip))
        optimizer = make_optimizer(torch.nn.Linear(2, 2), recipe)
        assert bool(getattr(optimizer, "_step_supports_amp_scaling", False)) is fused
    assert precision.scaler is not None
    optimizer = make_optimizer(torch.nn.Linear(2, 2), to_jsonable(RecipeSpec(name="r", summary="s", clip_grad=1.0)))
    with pytest.raises(NotImplementedError, match="clipping is not implemented"):
        precision.unscale_gradients(optimizer)


def fp16(scaler: torch.amp.GradScaler) -> Any:
    return Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler))


def test_steps_of_fp16_that_overflow_are_left_out(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scale is found by trying: gradients that are too large are not clipped but not used, and no error."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    monkeypatch.setattr(training_run, "make_fabric", lambda *_: fp16(scaler))
    record = execute(one_run(tiny_root, tmp_path, RECIPE | {"epochs": 1}), lambda event: None)
    assert record["status"] == "ok", record["error"]
    assert scaler.get_scale() < 2.0**24


def test_the_scale_of_fp16_survives_an_interruption(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scalers: list[Any] = []

    def scaling_fabric(*_: Any) -> Any:
        scalers.append(torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3))
        return fp16(scalers[-1])

    monkeypatch.setattr(training_run, "make_fabric", scaling_fabric)
    recipe = RECIPE | {"epochs": 2}
    whole = execute(one_run(tiny_root, tmp_path / "whole", recipe), lambda event: None)
    assert whole["status"] == "ok", whole["error"]
    steps = whole["train"]["steps"]
    assert scalers[0].get_scale() == 4.0 * 2 ** (steps // 3)
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", -1.0)
    calls = iter(range(10**6))
    plan = one_run(tiny_root, tmp_path / "parts", recipe)
    with pytest.raises(trainer.Interrupted):
        execute(plan, lambda event: None, lambda: next(calls) >= 4)
    rest = execute(plan, lambda event: None)
    assert scalers[2].get_scale() == scalers[0].get_scale()
    assert [e["train_loss"] for e in rest["train"]["curve"]] == [e["train_loss"] for e in whole["train"]["curve"]]
