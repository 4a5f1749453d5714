"""Weights in every form that training programs write give the same tensors; nothing in a file is executed."""

from __future__ import annotations

import argparse
import io
import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as as_safetensors

from rsbench.errors import UserError
from rsbench.tasks.weights import Fitted, find, fitted, mismatch, read, read_metadata

OWN = {
    "conv.weight": torch.arange(6.0).view(2, 3),
    "norm.weight": torch.ones(2),
    "norm.num_batches_tracked": torch.tensor(3),
    "fc.bias": torch.tensor([0.5]),
}
RAW = {name: tensor + 1 for name, tensor in OWN.items()}
OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
PREFIXES = ("", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.", "net.", "a.b.")
KEYS = ("", "state_dict", "model", "model_state_dict", "net", "checkpoint.weights")


def under(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: tensor for name, tensor in state.items()}


def saved(content: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def load(folder: Path, content: bytes, name: str = "w.pth.tar", **options: Any) -> Fitted:
    path = folder / name
    path.write_bytes(content)
    return find(path, OWN, **options)


def same(found: Fitted, state: dict[str, torch.Tensor] = OWN) -> bool:
    return list(found.tensors) == list(state) and all(torch.equal(found.tensors[k], state[k]) for k in state)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_key_and_prefix(tmp_path: Path, key: str, prefix: str) -> None:
    state: Any = under(prefix, OWN)
    for part in reversed(key.split(".") if key else []):
        state = {part: state, "optimizer": OPTIMIZER, "epoch": 3, "rng_state": torch.zeros(3), "best": np.float64(0.5)}
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        found = load(tmp_path, saved(state, **options))
        assert same(found)
        assert (found.key, found.prefix, found.left, found.others) == (key, prefix, (), ())


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.pt", "w.ckpt", "model_best.pth.tar", "w.bin", "w"])
@pytest.mark.parametrize("kind", ["safetensors", "npz", "torch"])
def test_a_file_is_known_by_its_content(tmp_path: Path, name: str, kind: str) -> None:
    stream = io.BytesIO()
    np.savez(stream, **{k: v.numpy() for k, v in OWN.items()})
    content = {"safetensors": as_safetensors(OWN), "npz": stream.getvalue(), "torch": saved(OWN)}[kind]
    found = load(tmp_path, content, name)
    assert {k: v.tolist() for k, v in found.tensors.items()} == {k: v.tolist() for k, v in OWN.items()}


def test_lightning_keeps_its_network_beside_other_tensors(tmp_path: Path) -> None:
    content = {
        "state_dict": under("model.", OWN) | {"criterion.weight": torch.ones(2)},
        "hyper_parameters": {"lr": 0.1},
        "callbacks": {"best": torch.tensor(0.5)},
    }
    found = load(tmp_path, saved(content), "last.ckpt")
    assert same(found)
    assert found.describe() == "taken from 'state_dict', without the prefix 'model.', left out: criterion.weight"


def test_averaged_weights_are_taken_and_raw_ones_on_demand(tmp_path: Path) -> None:
    """As timm's loader does; its checkpoints hold the arguments of the command."""
    content = saved({"state_dict": RAW, "state_dict_ema": OWN, "args": argparse.Namespace(lr=0.1, opt=["sgd"])})
    found = load(tmp_path, content)
    assert same(found)
    assert found.describe() == "taken from 'state_dict_ema', and not from 'state_dict'"
    assert same(load(tmp_path, content, state="state_dict"), RAW)
    with pytest.raises(UserError, match="no state 'ema' that fits; it has 'state_dict' and 'state_dict_ema'"):
        load(tmp_path, content, state="ema")
    within = saved({"state_dict": under("model.", RAW) | under("model_ema.module.", OWN) | {"n": torch.ones(1)}})
    found = load(tmp_path, within)
    assert same(found)
    assert (found.prefix, found.others) == ("model_ema.module.", ("state_dict.model",))
    assert same(load(tmp_path, within, state="model"), RAW)


def test_without_a_network_the_averaged_or_largest_state_is_read(tmp_path: Path) -> None:
    for content in ({"state_dict": RAW, "ema": OWN}, {"rng": torch.zeros(2), "model": under("module.", OWN)}, OWN):
        torch.save(content, tmp_path / "w.pt")
        assert same(Fitted(read(tmp_path / "w.pt")))


def test_states_that_fit_alike_are_not_chosen_among(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds 'teacher' and 'student', which fit alike"):
        load(tmp_path, saved({"teacher": OWN, "student": RAW}))
    assert same(load(tmp_path, saved({"teacher": OWN, "student": RAW}), state="student"), RAW)


def test_the_wrapper_of_the_network_is_put_back() -> None:
    own = under("network.", OWN)
    for state in (OWN, own, under("module.network.", OWN), under("module.", OWN)):
        assert same(fitted({"": state}, own), own)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    other = {"conv.weight": torch.zeros(2, 4), "head.bias": torch.zeros(1), "norm.weight": torch.ones(2)}
    found = load(tmp_path, saved({"state_dict": under("module.", other)}))
    assert found.describe() == "taken from 'state_dict', without the prefix 'module.'"
    assert mismatch(found.tensors, OWN) == (
        "missing fc.bias; unexpected head.bias; of another shape conv.weight (2x4 in the file, 2x3 in the network)"
    )
    assert mismatch(load(tmp_path, saved(OWN)).tensors, OWN) == ""


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return open, (str(self.target), "w")


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def header_of(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})  # type: ignore[arg-type]
    return stream.getvalue()


def named(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (saved([1, 2]), "it holds a list"),
        (saved({"epoch": 3}), "no tensors"),
        (saved({1: torch.zeros(1)}), "no tensors"),
        (saved({"a": torch.zeros(3).to_sparse()}), "'a' is no dense tensor"),
        (saved({"a": torch.zeros(3, device="meta")}), "'a' is no dense tensor"),
        (saved({"a": torch.zeros(3, dtype=torch.complex64)}), "'a' is no dense tensor"),
        (saved({"a": torch.zeros(1), "x": Path("x")}), r"objects of pathlib\.PosixPath, which .* execute"),
        (zipped({"a.npy": header_of((1_500_000_000,)) + b"\0" * 100}), "ValueError|MemoryError|EOF"),
        (zipped({"a.npy": b"\0" * (101 << 20)}), r"it would become 0\.1 GB"),
        (named(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}', b"\0" * 4), "Error"),
        (saved({"a": torch.zeros(9_999)})[:-9_000], "BadZipFile"),
        (b"", "Error"),
        (b"no weights", "Error"),
    ],
)
def test_what_is_no_weights_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=rf"w\.pth\.tar cannot be read as weights: .*({said})") as caught:
        load(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_tensors_of_several_shapes_are_named(tmp_path: Path) -> None:
    ragged = torch.nested.nested_tensor([torch.zeros(3), torch.zeros(2)])
    with pytest.raises(UserError, match="'a' is no dense tensor of real numbers"):
        load(tmp_path, saved({"a": ragged}))


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_nothing_is_executed(tmp_path: Path, options: dict[str, Any]) -> None:
    trace = tmp_path / "trace"
    for content in ({"a": Payload(trace)}, {"a": argparse.Namespace(x=Payload(trace)), **OWN}):
        with pytest.raises(UserError, match="cannot be read as weights"):
            load(tmp_path, saved(content, **options))
    assert not trace.exists()


def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    for name in ("pipe.pt", "zero.pt", "none.pt", "."):
        with pytest.raises(UserError, match="There is no weights file"):
            find(tmp_path / name, OWN)
        with pytest.raises(UserError, match="There is no weights file"):
            read_metadata(tmp_path / name)


@pytest.mark.parametrize(
    "header",
    [b"", b"x", b"[1]", b"null", b"[" * 100_000, b'{"__metadata__": [1]}', b'{"__metadata__": {"model": {"a": 1}}}'],
)
def test_metadata_that_are_none_are_named(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "w.safetensors"
    for content in (named(header), struct.pack("<Q", 2**63) + header, struct.pack("<Q", 10_000_000) + header):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"w\.safetensors, which is called safetensors, cannot be read"):
            read_metadata(path)
    path.write_bytes(named(json.dumps({"__metadata__": {"model": "bmta"}}).encode()))
    assert read_metadata(path) == {"model": "bmta"}


@given(
    st.sampled_from(
        [saved({"state_dict": OWN}), as_safetensors(OWN), saved(OWN, _use_new_zipfile_serialization=False)]
    ),
    st.integers(0, 10_000),
    st.binary(min_size=1, max_size=4),
)
def test_any_bytes_give_tensors_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int, other: bytes
) -> None:
    place %= len(content)
    try:
        found = load(tmp_path_factory.getbasetemp(), content[:place] + other + content[place + len(other) :])
    except UserError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in found.tensors.values())
