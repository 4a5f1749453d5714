"""Networks that are shared out: of each parameter a rank holds a slice (FSDP2), and gathers the rest for a pass.

State dicts hold whole tensors in the CPU's memory, so that selection, checkpoints and resumption are those of one
process.  They are made by all ranks together.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from rsbench.errors import UserError


def shard(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Share out *model* among the ranks of *mesh*, block by block, and move it to their devices; buffers stay whole.

    Raises:
        UserError: a parameter is a single number, which cannot be sliced.
    """
    if is_sharded(model):
        return model
    single = [name for name, parameter in model.named_parameters() if parameter.ndim == 0]
    if single:
        raise UserError(f"--strategy fsdp cannot slice '{single[0]}', which is a single number; use --strategy ddp.")
    model.to(memory_format=torch.contiguous_format)
    for part in (*blocks(model), model):
        # the outermost too, so that after a pass in evaluation parameters are slices again
        made = fully_shard(part, mesh=mesh["data_parallel"], reshard_after_forward=True)
        made.set_force_sum_reduction_for_comms(mesh.device_type == "cpu")  # gloo knows no mean
    model.register_state_dict_post_hook(_gather_weights)
    model.register_load_state_dict_pre_hook(_slice_weights)
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether *model* is shared out."""
    return isinstance(model, FSDPModule)


def blocks(model: nn.Module) -> list[nn.Module]:
    """Return the modules with parts and parameters that stand in a ModuleList or a Sequential, inner ones first."""
    containers = [m for m in model.modules() if isinstance(m, nn.ModuleList | nn.Sequential)]
    found = dict.fromkeys(child for container in containers for child in container if _is_block(child))
    return list(reversed(found))


def _is_block(module: nn.Module) -> bool:
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        return False
    return any(True for _ in module.children()) and any(True for _ in module.parameters())


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return all of a tensor of which ranks may hold slices; all of them have to ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def slice_steps(optimizer: torch.optim.Optimizer) -> None:
    """Let *optimizer*, of a network that is shared out, take its steps and give its state accordingly."""
    for group in optimizer.param_groups:
        group["fused"] = False  # torch has no fused step of SGD for slices
    optimizer.register_state_dict_post_hook(_gather_state)
    optimizer.register_load_state_dict_pre_hook(_slice_state)


def _gather_weights(module: nn.Module, state: MutableMapping[str, Any], *_: Any) -> None:
    del module
    for name, value in state.items():
        state[name] = _at_rest(value)


def _slice_weights(module: nn.Module, state: MutableMapping[str, Any], *_: Any) -> None:
    for name, parameter in module.named_parameters():
        if name in state:
            state[name] = _own_slice(state[name], parameter)


def _gather_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    del optimizer
    gathered = {k: {name: _at_rest(value) for name, value in kept.items()} for k, kept in state["state"].items()}
    return state | {"state": gathered}


def _slice_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    parameters = dict(zip(_members(state["param_groups"]), _members(optimizer.param_groups), strict=True))
    sliced = {
        k: {name: _own_slice(value, parameters[k]) for name, value in kept.items()}
        for k, kept in state["state"].items()
    }
    return state | {"state": sliced, "param_groups": [group | {"fused": False} for group in state["param_groups"]]}


def _members(groups: Iterable[dict[str, Any]]) -> list[Any]:
    return list(chain.from_iterable(group["params"] for group in groups))


def _at_rest(value: Any) -> Any:
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def _own_slice(value: Any, parameter: torch.Tensor) -> Any:
    """Return this rank's slice of a tensor that belongs to *parameter*; what has another shape as it is."""
    if not isinstance(parameter, DTensor) or getattr(value, "shape", None) != parameter.shape:
        return value
    return distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
