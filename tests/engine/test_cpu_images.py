"""One pass over memory against a pass for each of four steps: the same floats to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rsbench.engine.input import kernels
from rsbench.engine.input.augmentation import apply_turn
from rsbench.engine.input.cpu_images import CpuImages
from rsbench.engine.input.gpu_images import GpuImages
from rsbench.engine.input.normalization import Normalization

MEAN, STD = (123.7, 90.2, 41.9, 7.3), (58.4, 57.1, 0.37, 250.0)
ROWS = np.array([4, 0, 11, 4, 7, 2, 9, 1, 10, 3, 5])


def stored(dtype: str, side: int = 33) -> np.ndarray:
    rng = np.random.default_rng(0)
    shape = (12, 4, side, side)
    if np.dtype(dtype).kind == "f":
        return rng.normal(100, 50, shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def by_steps(images: np.ndarray, bands: list[int], counts: list[int], normalized: bool) -> torch.Tensor:
    """Gather, cast, turn, normalize: a pass for each, float32 [11, C, S, S]."""
    taken = torch.from_numpy(images[ROWS][:, bands].astype(np.float32))
    codes = np.repeat(np.arange(len(counts)), counts)
    turned = torch.stack([apply_turn(image, int(code)) for image, code in zip(taken, codes, strict=True)])
    if not normalized:
        return turned
    norm = Normalization(tuple(MEAN[b] for b in bands), tuple(STD[b] for b in bands))
    scale, offset = (torch.from_numpy(values).view(1, -1, 1, 1) for values in norm.scale_and_offset)
    return turned * scale + offset


def by_one_pass(images: np.ndarray, bands: list[int], counts: list[int], normalized: bool) -> torch.Tensor:
    norm = Normalization(tuple(MEAN[b] for b in bands), tuple(STD[b] for b in bands))
    (batch,) = CpuImages(images, bands, norm, batch=len(ROWS)).iter_batches(ROWS, [counts], normalized)
    return batch


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("normalized", [True, False])
def test_every_turn_of_every_kind_of_number(dtype: str, normalized: bool) -> None:
    case = stored(dtype), [0, 1, 2, 3], [2, 1, 1, 2, 1, 1, 1, 2], normalized
    assert torch.equal(by_one_pass(*case), by_steps(*case))


@pytest.mark.parametrize("bands", [[2, 0], [3], [1, 1, 0]], ids=str)
def test_bands_in_the_given_order(bands: list[int]) -> None:
    case = stored("uint8"), bands, [5, 0, 0, 6], True
    assert torch.equal(by_one_pass(*case), by_steps(*case))


def test_images_that_lie_otherwise_in_memory(tmp_path: Path) -> None:
    images = stored("uint8", side=16)
    np.save(tmp_path / "images.npy", images)
    bands_last = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    expected = by_steps(images, [0, 1, 2, 3], [1, 2, 3, 5], True)
    for each in (np.load(tmp_path / "images.npy", mmap_mode="r"), bands_last):
        assert torch.equal(by_one_pass(each, [0, 1, 2, 3], [1, 2, 3, 5], True), expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_operations_of_a_device_give_the_same(dtype: str) -> None:
    images, bands, counts = stored(dtype), [3, 0, 1], [2, 1, 1, 2, 1, 1, 1, 2]
    norm = Normalization(MEAN[:3], STD[:3])
    host = CpuImages(images, bands, norm, batch=len(ROWS))
    device = GpuImages(images, bands, norm, len(ROWS), torch.device("cpu"), resident=True)
    for normalized in (False, True):
        (ours,), (theirs,) = (each.iter_batches(ROWS, [counts], normalized) for each in (host, device))
        torch.testing.assert_close(ours, theirs, rtol=1e-6 * normalized, atol=1e-5 * normalized)
    raw = ours.clone()
    host.normalize(ours)
    device.normalize(raw)
    torch.testing.assert_close(ours, raw, rtol=1e-6, atol=1e-5)


def test_batches_share_one_buffer_of_the_asked_size() -> None:
    images = CpuImages(stored("uint8"), [0], Normalization((0.0,), (1.0,)), batch=2).in_batches_of(6)
    sizes, places = zip(*((len(b), b.data_ptr()) for b in images.iter_batches(ROWS, [[6], [5]], True)), strict=True)
    assert sizes == (6, 5)
    assert places[0] == places[1]


def test_oblong_images_are_flipped() -> None:
    images = stored("uint8")[..., :20]
    case = images, [0, 1, 2, 3], [2, 0, 3, 0, 4, 0, 2], True
    assert torch.equal(by_one_pass(*case), by_steps(*case))


def test_the_stored_images_stay_writable_for_their_owner() -> None:
    images = stored("uint8")
    CpuImages(images, [0], Normalization((0.0,), (1.0,)), batch=1)
    assert images.flags.writeable


@pytest.mark.parametrize("row", [-1, 12])
def test_a_number_that_no_image_has(row: int) -> None:
    images = CpuImages(stored("uint8"), [0], Normalization((0.0,), (1.0,)), batch=2)
    with pytest.raises(IndexError, match="of 12"):
        next(images.iter_batches(np.array([3, row]), [[2]], True))


def test_it_compiles_where_nothing_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba refuses to decorate what it shall keep and cannot."""
    tried = []

    def njit(*, cache: bool = False, **_: object) -> object:
        tried.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(kernels, "njit", njit)
    assert kernels.compiled(len) is len
    assert tried == [True, False]


@pytest.mark.slow
def test_code_from_disk_gives_what_fresh_code_gave(tmp_path: Path) -> None:
    """With fused products and sums it did not."""
    code = (
        "import test_images_host as t\n"
        "case = t.stored('uint8'), [0, 1, 2, 3], [2, 1, 1, 2, 1, 1, 1, 2], True\n"
        "print(t.torch.equal(t.by_one_pass(*case), t.by_steps(*case)), sum(t.gather.gather.stats.cache_hits.values()))\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", code]
    said = [subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout for _ in "12"]
    assert said == ["True 0\n", "True 1\n"]
