"""Weights from local files: safetensors, NumPy archives, and torch files read without executing anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rsbench.errors import UserError

WRAPPERS = ("state_dict", "model", "state_dict_ema")


def load_file(network: nn.Module, source: str | Mapping[str, torch.Tensor], classes: int) -> list[str]:
    """Load weights into *network*; return the names of the classifier's tensors, which keep their fresh values.

    A tensor is left out only where its first dimension is the number of classes here and another one in the file.

    Raises:
        UserError: the file cannot be read, or does not fit apart from the classifier.
    """
    state = read(Path(source)) if isinstance(source, str) else dict(source)
    where = source if isinstance(source, str) else "the downloaded weights"
    own = network.state_dict()
    classifier = [k for k, v in state.items() if k in own and _is_other_classifier(v, own[k], classes)]
    missing = [k for k in own if k not in state]
    unexpected = [k for k in state if k not in own]
    wrong = [k for k in state if k in own and k not in classifier and state[k].shape != own[k].shape]
    missing_classifier = [k for k in missing if own[k].ndim and own[k].shape[0] == classes]
    missing = [k for k in missing if k not in missing_classifier and not k.endswith("num_batches_tracked")]
    if missing or unexpected or wrong:
        raise UserError(
            f"{where} does not fit this model: {_some('missing', missing)}{_some('unexpected', unexpected)}"
            f"{_some('of another shape', wrong)}".rstrip("; ")
            + "."
        )
    fitting = {k: v for k, v in state.items() if k not in classifier}
    network.load_state_dict(fitting, strict=False)
    return classifier + missing_classifier


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

            return load_safetensors(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {k: torch.from_numpy(archive[k]) for k in archive.files}
        if path.suffix in (".pt", ".pth"):
            return _unwrap(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path} cannot be read as weights ({type(error).__name__}: {reason}).") from None
    raise UserError(f"{path} is not a weights file: use .safetensors, .npz, .pt or .pth.")


def _unwrap(content: object) -> dict[str, torch.Tensor]:
    """Take the state dict out of a training checkpoint."""
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a state dict")
    for key in WRAPPERS:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = {k.removeprefix("module."): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise ValueError("it holds no tensors")
    return tensors


def _is_other_classifier(theirs: torch.Tensor, ours: torch.Tensor, classes: int) -> bool:
    same_rest = theirs.ndim == ours.ndim and theirs.shape[1:] == ours.shape[1:]
    return same_rest and theirs.ndim > 0 and ours.shape[0] == classes != theirs.shape[0]


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} {', '.join(names[:3])}{more}; "
