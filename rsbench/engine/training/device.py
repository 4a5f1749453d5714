"""Devices and precision of a run."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import torch
from torch import nn

from rsbench import hardware
from rsbench.engine.parallel.world import RankInfo, detect_launcher
from rsbench.engine.training.single_device import AUTOCAST, SingleDeviceFabric
from rsbench.errors import UserError
from rsbench.execution import DEVICE

RANKS_WAIT: Final = timedelta(minutes=10)  # for each other in one collective; then the run fails
FABRIC_PRECISION: Final = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def select_device(name: str) -> torch.device:
    """Return the device for ``auto | cpu | cuda | cuda:N``.

    Raises:
        UserError: it is none of these, or CUDA is asked for and not there.
    """
    if not re.fullmatch(DEVICE, name):
        raise UserError(f"Device '{name}' is not auto, cpu, cuda or cuda:N.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        count = torch.cuda.device_count()
        number = int(name.partition(":")[2] or 0)
        if number >= count:
            raise UserError(f"Device '{name}' is not there: torch sees {count} CUDA device(s). Use --device cpu.")
        return torch.device("cuda", number)
    return torch.device(name)


def select_precision(name: str, device: torch.device) -> str:
    """Return ``fp32 | bf16 | fp16``: for ``auto`` bf16 where hardware has it and fp32 elsewhere; what is stated as it
    is, but on a CPU as :func:`rsbench.hardware.cpu_precision` has it."""
    if device.type != "cuda":
        return hardware.cpu_precision(name)
    return ("bf16" if has_bf16(device) else "fp32") if name == "auto" else name


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is done in hardware."""
    if device.type != "cuda":
        return hardware.cpu_has_bf16()
    return torch.cuda.is_bf16_supported(including_emulation=False)


def set_arithmetic(precision: str) -> None:
    """Let CUDA choose the fastest convolutions, and round to TF32 where the run is not ``fp32`` anyway: by default
    torch does so in convolutions and recurrent layers."""
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "fp32"


def local_device(name: str, place: RankInfo | None) -> str:
    """Return the name of the device of the rank at *place* where ``auto | cpu | cuda`` is asked for."""
    if place is None or name == "cpu" or not torch.cuda.is_available():
        return name
    alone = (
        torch.cuda.device_count() == 1 and detect_launcher() is not None
    )  # SLURM may show each process its own device
    return f"cuda:{0 if alone else place.local}"


def make_fabric(device: torch.device, precision: str, place: RankInfo | None = None, strategy: str = "auto") -> Any:
    """Return a Lightning Fabric for *precision* (``fp32 | bf16 | fp16``), of one device or of all ranks, which share a
    run by *strategy*, or what does the same where nothing of it is needed.

    Args:
        device: on which the network is.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        place: of this rank among those of the run; ``None`` for one device.
        strategy: ``auto`` (is ddp), ``ddp`` or ``fsdp``.
    """
    if place is not None:
        return _fabric_of_ranks(device, precision, place, strategy)
    if precision in AUTOCAST:
        return SingleDeviceFabric(device, precision)
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision=FABRIC_PRECISION[precision],  # type: ignore[arg-type]
        plugins=LightningEnvironment(),  # in a batch script of SLURM, Fabric would ask for srun
    )
    fabric.launch()
    return fabric


def set_up(fabric: Any, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """Return network and optimizer as a step uses them."""
    if not isinstance(fabric, SingleDeviceFabric):
        from rsbench.engine.parallel import fsdp

        if fsdp.is_sharded(model):
            fsdp.slice_steps(optimizer)
    wrapped, optimizer = fabric.setup(model, optimizer)
    if wrapped is not model and hasattr(model, "training_loss"):
        wrapped.mark_forward_method("training_loss")
    return wrapped, optimizer


def scaling(fabric: Any) -> Any:
    """Return what of *fabric* scales the loss, as fp16 needs, by a number that it learns and has in ``state_dict``;
    ``None`` where nothing does."""
    return None if isinstance(fabric, SingleDeviceFabric) else fabric.strategy.precision


def _fabric_of_ranks(device: torch.device, precision: str, place: RankInfo, strategy: str) -> Any:
    """Join the ranks of a run, over gloo on CPUs and NCCL on GPUs."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    joined = _sharding(place) if strategy == "fsdp" else _copying()
    joined.parallel_devices = [device] * place.devices
    joined.cluster_environment = LightningEnvironment()
    own: Any = place.devices if device.index is None else [device.index]  # Fabric checks that it sees those named
    fabric = Fabric(
        accelerator=device.type,
        devices=own,
        num_nodes=place.world // place.devices,
        strategy=joined,
        precision=FABRIC_PRECISION[precision],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _copying() -> Any:
    """DDP: each rank holds the network."""
    from lightning_fabric.strategies import DDPStrategy

    return DDPStrategy(
        timeout=RANKS_WAIT,
        broadcast_buffers=False,  # they are the same: BatchNorm is over all ranks
        find_unused_parameters=True,
        gradient_as_bucket_view=True,
    )


def _sharding(place: RankInfo) -> Any:
    """FSDP: each rank holds slices of the network's parameters."""
    from lightning_fabric.strategies import ModelParallelStrategy

    from rsbench.engine.parallel.fsdp import shard

    return ModelParallelStrategy(shard, data_parallel_size=place.world, tensor_parallel_size=1, timeout=RANKS_WAIT)
