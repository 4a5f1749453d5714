"""Weights from files: safetensors, NumPy archives, and torch files read without executing anything."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Final

from rsbench.errors import UserError

if TYPE_CHECKING:
    import torch

WRAPPERS: Final = ("state_dict", "model", "state_dict_ema")
PREFIXES: Final = ("module.", "network.")


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from ``.safetensors``, ``.npz``, ``.pt`` or ``.pth``, without a prefix that all names share.

    Raises:
        UserError: the file is missing, of another kind, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise UserError(f"There is no weights file '{path}'; use none, imagenet or the path of a file.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file as load_safetensors

            return _bare(load_safetensors(path))
        if path.suffix == ".npz":
            import numpy as np
            import torch

            with np.load(path, allow_pickle=False) as archive:
                return _bare({k: torch.from_numpy(archive[k]) for k in archive.files})
        if path.suffix in (".pt", ".pth"):
            import torch

            return _bare(_unwrap(torch.load(path, map_location="cpu", weights_only=True)))
    except Exception as error:
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(f"{path} cannot be read as weights ({type(error).__name__}: {reason}).") from None
    raise UserError(f"{path} is not a weights file: use .safetensors, .npz, .pt or .pth.")


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, without reading its tensors; nothing for other files.

    Raises:
        UserError: the file is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"There is no weights file '{path}'.")
    if path.suffix != ".safetensors":
        return {}
    try:
        with path.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        return dict(header.get("__metadata__", {}))
    except (OSError, ValueError, MemoryError, OverflowError, AttributeError):
        raise UserError(f"{path} cannot be read as a safetensors file.") from None


def fitted(state: dict[str, torch.Tensor], names: Iterable[str]) -> dict[str, torch.Tensor]:
    """Return *state* with the prefix put back that all *names* of a network share, where it has one."""
    names = list(names)
    for prefix in PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            return {prefix + key: tensor for key, tensor in state.items()}
    return state


def mismatch(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> str:
    """Say in a few words how *state* differs from a network's *own* state; nothing where it fits."""
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    wrong = [k for k in own if k in state and state[k].shape != own[k].shape]
    found = (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
    return "; ".join(_some(what, names) for what, names in found if names)


def _some(what: str, names: list[str]) -> str:
    """The first three of the names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} {', '.join(names[:3])}{more}"


def _unwrap(content: object) -> dict[str, torch.Tensor]:
    """Take the state dict out of a training checkpoint."""
    import torch

    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a state dict")
    inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), content)
    tensors = {k: v for k, v in inner.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise ValueError("it holds no tensors")
    return tensors


def _bare(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take off a prefix that DataParallel or a wrapper around the whole network has put before every name."""
    for prefix in PREFIXES:
        if state and all(k.startswith(prefix) for k in state):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    return state
