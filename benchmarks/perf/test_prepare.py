"""Preparing EuroSAT from its archive against a bare Pillow decode loop on the same cores."""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from ratios import paired

from rsbench.data.prepare import prepare
from rsbench.registry import registry


def decode_part(job: tuple[str, int, int]) -> int:
    """Decode every n-th image to an array; keep nothing."""
    path, part, parts = job
    total = 0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist()[part::parts]:
            total += np.asarray(Image.open(io.BytesIO(archive.read(name)))).shape[0]
    return total


def test_against_pillow(benchmark, real_data: Path, tmp_path: Path) -> None:
    spec, archive = registry().get("dataset", "eurosat"), real_data / "eurosat" / "EuroSAT.zip"
    cores = len(os.sched_getaffinity(0))

    def pillow() -> None:
        with multiprocessing.get_context("spawn").Pool(cores) as pool:
            assert sum(pool.map(decode_part, [(str(archive), k, cores) for k in range(cores)])) == 27_000 * 64

    def ours() -> None:
        shutil.rmtree(tmp_path / "root", ignore_errors=True)
        assert prepare(spec, archive.parent, tmp_path / "root", workers=cores).manifest["images"] == 27_000

    result = paired(ours, pillow, rounds=5)
    benchmark.extra_info.update(result)
    benchmark.pedantic(ours, rounds=1)
    assert result["ratio"] <= 1.3
