"""Weights from local files: safetensors, NumPy archives, and torch files read without executing anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Final

import numpy as np
import torch
from torch import nn

from rsbench.errors import UserError

WRAPPERS: Final = ("state_dict", "model", "state_dict_ema")
PREFIXES: Final = ("module.", "network.")


def load_weights(
    network: nn.Module, source: str | Mapping[str, torch.Tensor], classifier: tuple[str, ...]
) -> list[str]:
    """Load weights into *network*, from a file or a state dict; return the names of tensors that keep fresh values.

    Those can only be tensors of the *classifier* modules that the source lacks or has for another number of classes;
    all others have to be there in the right shape, and nothing else may be.

    Raises:
        UserError: the file cannot be read, or does not fit.
    """
    state = read(Path(source)) if isinstance(source, str) else dict(source)
    own = network.state_dict()
    heads = tuple(f"{name}." for name in classifier)
    fresh = [k for k in own if k.startswith(heads) and (k not in state or state[k].shape != own[k].shape)]
    missing = [k for k in own if k not in state and k not in fresh and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    wrong = [k for k in own if k in state and k not in fresh and state[k].shape != own[k].shape]
    if missing or unexpected or wrong:
        parts = [_some("missing", missing), _some("unexpected", unexpected), _some("of another shape", wrong)]
        where = Path(source).name if isinstance(source, str) else "The downloaded state"
        raise UserError(
            f"{where} does not fit {type(network).__name__}: {'; '.join(p for p in parts if p)}. "
            "Use weights of the same architecture, bands and input size."
        )
    network.load_state_dict({k: v for k, v in state.items() if k not in fresh}, strict=False)
    return fresh


def load_parts(
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


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from ``.safetensors``, ``.npz``, ``.pt`` or ``.pth``.

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
            with np.load(path, allow_pickle=False) as archive:
                return _bare({k: torch.from_numpy(archive[k]) for k in archive.files})
        if path.suffix in (".pt", ".pth"):
            return _bare(_unwrap(torch.load(path, map_location="cpu", weights_only=True)))
    except Exception as error:
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(f"{path} cannot be read as weights ({type(error).__name__}: {reason}).") from None
    raise UserError(f"{path} is not a weights file: use .safetensors, .npz, .pt or .pth.")


def _unwrap(content: object) -> dict[str, torch.Tensor]:
    """Take the state dict out of a training checkpoint."""
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a state dict")
    inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), content)
    tensors = {k: v for k, v in inner.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise ValueError("it holds no tensors")
    return tensors


def _bare(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take off a prefix that DataParallel or :class:`rsbench_timm.backbones.Adapted` has put before every name."""
    for prefix in PREFIXES:
        if state and all(k.startswith(prefix) for k in state):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    return state


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} {', '.join(names[:3])}{more}"
