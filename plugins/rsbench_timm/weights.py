"""Weights from local files, put into networks whose classifier may be another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import nn

from rsbench.errors import UserError
from rsbench.tasks.weights import find, mismatch


def load_weights(
    network: nn.Module, source: str | Mapping[str, torch.Tensor], classifier: tuple[str, ...]
) -> list[str]:
    """Load weights into *network*, from a file or a state dict; return the names of tensors that keep fresh values.

    Those can only be tensors of the *classifier* modules that the source lacks or has for another number of classes;
    all others have to be there in the right shape, and nothing else may be.

    Raises:
        UserError: the file cannot be read, or does not fit.
    """
    own = network.state_dict()
    state = read_for(source, own) if isinstance(source, str) else dict(source)
    heads = tuple(f"{name}." for name in classifier)
    fresh = [k for k in own if k.startswith(heads) and (k not in state or state[k].shape != own[k].shape)]
    state = {k: v for k, v in state.items() if k not in fresh}
    odd = mismatch(state, {k: v for k, v in own.items() if k not in fresh})
    if odd:
        where = Path(source).name if isinstance(source, str) else "The downloaded state"
        raise UserError(
            f"{where} does not fit {type(network).__name__}: {odd}. "
            "Use weights of the same architecture, bands and input size."
        )
    network.load_state_dict(state, strict=False)
    return fresh


def read_for(path: str, names: Iterable[str]) -> dict[str, torch.Tensor]:
    """Read from a file the tensors that fit the *names* of a network; say in the run's log which these are.

    Raises:
        UserError: see :func:`rsbench.tasks.weights.find`.
    """
    found = find(Path(path), names)
    if said := found.describe():
        print(f"{Path(path).name}: {said}.")
    return found.tensors


def load_parts(
    network: nn.Module, state: Mapping[str, torch.Tensor], needed: Collection[str], known: Collection[str]
) -> None:
    """Load the *needed* tensors of *state* into *network*; others of the *known* ones, its classifier's, are left.

    Args:
        network: which gets them.
        state: name -> tensor.
        needed: names that the state must have.
        known: names that it may have.

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
