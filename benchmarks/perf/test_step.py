"""A training epoch in the engine against a bare PyTorch loop on one thread of a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from loops import Loops, loader, network
from ratios import paired

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["resnet18"])
def test_engine_overhead(benchmark, tmp_path: Path, name: str) -> None:
    loops = Loops(network(name, CPU), loader(CPU, batch=32, steps=6), tmp_path)
    result = paired(loops.engine, loops.bare, rounds=11)
    benchmark.extra_info.update(result)
    benchmark.pedantic(loops.engine, rounds=1)
    assert result["ratio_of_minima"] <= 1.03
