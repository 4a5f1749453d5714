"""Weights from files: safetensors, NumPy archives, and what training programs write, read without executing anything.

A file is known by its content, whatever it is called.  Of a checkpoint, state dicts are found under any key, and names
under any prefix (``module.`` of DDP, ``_orig_mod.`` of torch.compile, ``model.`` of Lightning): those are taken that
fit the network that they are for.
"""

from __future__ import annotations

import argparse
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final

from rsbench import reading, renamed
from rsbench.errors import UserError, first_of

if TYPE_CHECKING:
    import torch

WRAPPERS: Final = ("module.", "network.")  # what a network may itself stand in
MOST_HEADER: Final = 100 << 20  # bytes, as in safetensors itself
MOST_RATIO: Final = 20  # unpacked to packed; weights hardly shrink
SMALL: Final = 100 << 20  # an archive that unpacks to less is no bomb, whatever its ratio
DEPTH: Final = 3  # dictionaries in one another that are searched for state dicts
SHOWN: Final = 3
_AVERAGED: Final = re.compile(r"(^|[^a-z])(ema|swa|average|averaged)([^a-z]|$)")
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*m")
States = dict[str, "dict[str, torch.Tensor]"]


@dataclass(frozen=True)
class Fitted:
    """Tensors of a file under the names of a network.

    Attributes:
        tensors: by name; they need not be all, nor of the right shape (see :func:`mismatch`).
        key: where in the file they were, such as ``state_dict_ema``; empty for a file that is a state dict.
        prefix: taken off their names.
        left: names in the file that lie outside of the prefix, and are not taken.
        others: other states of the file that would fit as well.
    """

    tensors: dict[str, torch.Tensor]
    key: str = ""
    prefix: str = ""
    left: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Key and prefix, by which it can be asked for."""
        return ".".join(part for part in (self.key, self.prefix.rstrip(".")) if part)

    def describe(self) -> str:
        """Say in a few words what was taken of the file; empty where it was a plain state dict."""
        said = [f"taken from '{self.key}'"] if self.key else []
        said += [f"without the prefix '{self.prefix}'"] if self.prefix else []
        said += [f"and not from {_quoted(self.others)}"] if self.others else []
        said += [f"left out: {first_of(self.left)}"] if self.left else []
        return ", ".join(said)


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a file for a network that is not known: of several states the averaged, else the largest.

    Raises:
        UserError: see :func:`find`.
    """
    states = states_in(path)
    key = max(states, key=lambda key: (bool(_AVERAGED.search(key.lower())), len(states[key])))
    prefix = next((w for w in WRAPPERS if all(name.startswith(w) for name in states[key])), "")
    return {name.removeprefix(prefix): tensor for name, tensor in states[key].items()}


def find(path: Path, names: Iterable[str], state: str | None = None) -> Fitted:
    """Find in a file the tensors of a network.

    Args:
        names: of the network's own tensors.
        state: of a file with several states, which one: a key, a prefix of names, or both with a dot between them.
            Default: the one that fits best; of several that fit alike, the averaged (EMA).

    Raises:
        UserError: the file is missing, of another kind, damaged, or holds objects that are not data; or several states
            fit alike, or none is called *state*.
    """
    return fitted(states_in(path), names, state, str(path))


def states_in(path: Path) -> States:
    """Return every state dict in a file, under its key; under an empty one where the file is a state dict itself.

    Raises:
        UserError: see :func:`find`.
    """
    if not path.is_file():
        raise UserError(f"There is no weights file '{path}'; use none, imagenet or the path of a file.")
    try:
        found = dict(_states(_content(path)))
        if not found:
            raise ValueError("it holds no tensors under names")
        for tensors in found.values():
            _check_tensors(tensors)
    except Exception as error:  # readers raise many kinds
        text = " ".join(_ESCAPES.sub("", str(error)).split())
        reason = text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
        raise UserError(f"{path} cannot be read as weights: {shorten(reason, 300, placeholder=' ...')}.") from None
    return found


def fitted(states: States, names: Iterable[str], state: str | None = None, source: str = "The file") -> Fitted:
    """Return of *states* the tensors that fit the *names* of a network, under these.

    Args:
        states: that a file holds: key -> tensors.
        names: of the network's own tensors.
        state: which of the states, where several fit.
        source: what they are from, in a sentence.

    Raises:
        UserError: several fit alike, or none is called *state*.
    """
    own = list(names)
    wrapper = next((w for w in WRAPPERS if own and all(name.startswith(w) for name in own)), "")
    bare = {name.removeprefix(wrapper) for name in own}
    found = [_taken(key, prefix, states[key], wrapper) for key in states for prefix in _prefixes(states[key], bare)]
    if state is not None:
        known = [candidate.name for candidate in found]
        found = [f for f in found if state in (f.name, f.key, f.prefix.rstrip("."))]
        if not found:
            raise UserError(f"{source} has no state '{state}' that fits; it has {_quoted(known)}.")
    counts = [len(bare & {name.removeprefix(wrapper) for name in candidate.tensors}) for candidate in found]
    if not max(counts):  # the largest shows best what is wrong
        return max(found, key=lambda candidate: len(candidate.tensors))
    best = [candidate for candidate, count in zip(found, counts, strict=True) if count == max(counts)]
    chosen = [candidate for candidate in best if _AVERAGED.search(candidate.name.lower())] or best
    if len(chosen) > 1:
        raise UserError(
            f"{source} holds {_quoted(f.name for f in chosen)}, which fit alike: choose one by evaluate --state, or "
            "save it alone."
        )
    return replace(chosen[0], others=tuple(f.name for f in best if f is not chosen[0]))


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, without reading its tensors; nothing for other files.

    Raises:
        UserError: the file is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"There is no weights file '{path}'.")
    if path.suffix != ".safetensors":
        return {}
    where = f"{path}, which is called safetensors,"
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            content = stream.read(length) if length <= MOST_HEADER else b""
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror}.") from None
    if not content or len(content) < length:
        raise UserError(f"{where} cannot be read: its header is cut short.")
    header = reading.json_document(content, where)
    facts = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(facts, dict) or not all(isinstance(value, str) for value in facts.values()):
        raise UserError(f"{where} cannot be read: its metadata are no texts.")
    return {renamed.current(renamed.METADATA, name): value for name, value in facts.items()}


def mismatch(state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> str:
    """Say in a few words how *state* differs from a network's *own* state; nothing where it fits."""
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    wrong = [
        f"{k} ({_shape(state[k])} in the file, {_shape(own[k])} in the network)"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    found = (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
    return "; ".join(f"{what} {first_of(names)}" for what, names in found if names)


def _prefixes(tensors: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the prefixes under which most of the *known* names are found; an empty one where none is."""
    counts = Counter(name[:start] for name in tensors for start in _starts(name) if name[start:] in known)
    most = max(counts.values(), default=0)
    return [prefix for prefix, count in counts.items() if count == most] or [""]


def _starts(name: str) -> Iterator[int]:
    """Yield the places at which a part of a dotted name begins."""
    yield 0
    yield from (place + 1 for place, letter in enumerate(name) if letter == ".")


def _taken(key: str, prefix: str, tensors: Mapping[str, torch.Tensor], wrapper: str) -> Fitted:
    taken = {wrapper + k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return Fitted(taken, key, prefix, tuple(k for k in tensors if not k.startswith(prefix)))


def _content(path: Path) -> Any:
    """Return what a file holds, by its first bytes."""
    with path.open("rb") as stream:
        start = stream.read(9)
    if start.startswith(b"PK"):
        _check_size(path)
        with zipfile.ZipFile(path) as archive:
            is_numpy = any(name.endswith(".npy") for name in archive.namelist())
        return _read_numpy(path) if is_numpy else _read_torch(path)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= MOST_HEADER:
        from safetensors.torch import load_file

        return load_file(path)
    return _read_torch(path)


def _check_size(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        total = sum(info.file_size for info in opened.infolist())
    if total > max(SMALL, MOST_RATIO * archive.stat().st_size):
        raise ValueError(f"it would become {total / 1e9:.1f} GB")


def _read_numpy(path: Path) -> dict[str, torch.Tensor]:
    import numpy as np
    import torch

    with np.load(path, allow_pickle=False) as archive:
        return {k: torch.from_numpy(archive[k]) for k in archive.files}


def _read_torch(path: Path) -> Any:
    import numpy as np
    import torch
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

    scalar = np._core.multiarray.scalar if hasattr(np, "_core") else np.core.multiarray.scalar  # type: ignore[attr-defined]
    numbers = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    kinds = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")]
    harmless: list[Any] = [argparse.Namespace, np.dtype, *kinds, *numbers]
    with safe_globals(harmless), path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other protocols of pickle
        try:
            return torch.load(stream, map_location="cpu", weights_only=True)
        except Exception:
            if zipfile.is_zipfile(path) and (objects := get_unsafe_globals_in_checkpoint(path)):
                raise ValueError(
                    f"it holds objects of {', '.join(objects[:SHOWN])}, which reading would have to execute; save its "
                    "state_dict alone"
                ) from None
            raise


def _states(content: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Yield the state dicts in a checkpoint, each with its key."""
    import torch

    if not isinstance(content, Mapping):
        if depth == 0:
            raise ValueError(f"it holds a {type(content).__name__}, not a state dict")
        return
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    if tensors:
        yield key, tensors
    for name, inner in content.items():
        if depth < DEPTH and isinstance(name, str) and isinstance(inner, Mapping):
            yield from _states(inner, f"{key}.{name}" if key else name, depth + 1)


def _check_tensors(tensors: Mapping[str, torch.Tensor]) -> None:
    import torch

    for name, tensor in tensors.items():
        dense = tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_meta
        if not dense or tensor.is_quantized or tensor.is_complex():
            raise ValueError(f"'{name}' is no dense tensor of real numbers")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _quoted(names: Iterable[str]) -> str:
    return " and ".join(f"'{name}'" if name else "one without a key" for name in names)
