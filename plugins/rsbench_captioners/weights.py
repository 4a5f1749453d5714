"""Weights of encoders: read from local files without executing anything, and loaded strictly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from torch import nn

from rsbench.errors import UserError


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from ``.safetensors``, ``.npz``, ``.pt`` or ``.pth``.

    Raises:
        UserError: the file is missing, of another kind, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise UserError(f"There is no weights file '{path}'; use none, imagenet or the path of a file.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: torch.from_numpy(archive[name]) for name in archive.files}
        if path.suffix in (".pt", ".pth"):
            content = torch.load(path, map_location="cpu", weights_only=True)
            state = content.get("state_dict", content)
            return {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}
    except Exception as error:
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(f"{path} cannot be read as weights ({type(error).__name__}: {reason}).") from None
    raise UserError(f"{path} is not a weights file: use .safetensors, .npz, .pt or .pth.")


def load(
    network: nn.Module, state: Mapping[str, torch.Tensor], needed: Collection[str], known: Collection[str]
) -> None:
    """Load the *needed* tensors of *state* into *network*; others of the *known* ones, its classifier's, are left.

    Raises:
        UserError: a needed tensor is missing or of another shape, or the state holds an unknown one.
    """
    own = network.state_dict()
    wanted = [name for name in needed if not name.endswith("num_batches_tracked")]
    odd = [f"{n} is missing" for n in wanted if n not in state]
    odd += [f"{n} has another shape" for n in wanted if n in state and state[n].shape != own[n].shape]
    odd += [f"{n} is not known" for n in state if n not in known]
    if odd:
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise UserError(
            f"The weights do not fit {type(network).__name__}: {odd[0]}{more}; "
            "use weights of the same architecture and number of bands."
        )
    network.load_state_dict({name: state[name] for name in needed if name in state}, strict=False)
