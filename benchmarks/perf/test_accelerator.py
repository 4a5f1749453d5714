"""What the engine loses on a GPU, where a step is short, against the best bare loop: run these where there is one.

``RSBENCH_PERF_DEVICE=cpu`` runs the same code, small, on a CPU, whose ratios say nothing about a GPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from loops import CLASSES, Loops, loader, network
from ratios import paired, seconds
from torch import nn

DEVICE = torch.device(os.environ.get("RSBENCH_PERF_DEVICE", "cuda"))
CUDA = DEVICE.type == "cuda"
PRECISION = "bf16" if CUDA else "fp32"
GRAPHS = "reduce-overhead" if CUDA else "none"
TUNED = "max-autotune" if CUDA else "none"

pytestmark = pytest.mark.skipif(CUDA and not torch.cuda.is_available(), reason="no CUDA device")


def bmta() -> nn.Module:
    """BMTA's network as its plugin builds it."""
    from rsbench_convnets.bmta import bmta as build

    from rsbench.tasks.context import ModelContext

    torch.manual_seed(0)
    made = build(ModelContext("classification", channels=3, size=64, classes=tuple(map(str, range(CLASSES)))))
    return made.to(device=DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


CASES: dict[str, Callable[[], nn.Module]] = {"bmta": bmta, "resnet18": lambda: network("resnet18", DEVICE)}


@pytest.mark.parametrize("name", CASES)
def test_overhead_over_a_bare_compiled_loop(benchmark, tmp_path: Path, name: str) -> None:
    """Issue: below 2 %, and less than 1 % of the time spent waiting for data."""
    data = loader(DEVICE, batch=128 if CUDA else 8, steps=140 if CUDA else 4)
    loops = Loops(CASES[name](), data, tmp_path, PRECISION, GRAPHS)
    result = paired(loops.engine, loops.bare, rounds=7)
    progress = loops.engine()
    benchmark.extra_info.update(result | {"data_wait_fraction": progress.data_seconds / progress.seconds})
    benchmark.pedantic(loops.engine, rounds=1)
    assert result["ratio_of_minima"] <= 1.02
    assert progress.data_seconds / progress.seconds < 0.01


def test_training_of_resnet50_at_224_pixels(benchmark, tmp_path: Path) -> None:
    data = loader(DEVICE, batch=256 if CUDA else 2, steps=12 if CUDA else 2, size=224)
    loops = Loops(network("resnet50", DEVICE), data, tmp_path, PRECISION, TUNED)
    result = paired(loops.engine, loops.bare, rounds=7)
    benchmark.extra_info.update(result)
    benchmark.pedantic(loops.engine, rounds=1)
    assert result["ratio_of_minima"] <= 1.05


def test_inference_of_resnet50_at_224_pixels(benchmark, tmp_path: Path) -> None:
    """``rsbench throughput`` in a process of its own, against a loop here at the same batch."""
    batch = 512 if CUDA else 4
    arguments = ["throughput", "timm:resnet50", "--size", "224", "--mode", "inference", "--batch", str(batch)]
    arguments += ["--device", str(DEVICE), "--precision", PRECISION, "--compile", TUNED, "--threads", "1"]
    arguments += ["--out", str(tmp_path), "--json", *([] if CUDA else ["--quick"])]
    done = subprocess.run([sys.executable, "-m", "rsbench", *arguments], check=True, stdout=subprocess.PIPE)
    ours = json.loads(done.stdout)[0]["samples_per_s"]
    model = network("resnet50", DEVICE).eval()
    if TUNED != "none":
        model.compile(mode=TUNED, dynamic=False)
    images = torch.randn(batch, 3, 224, 224, device=DEVICE).to(memory_format=torch.channels_last)

    steps = 40 if CUDA else 2

    @torch.inference_mode()
    def bare() -> None:
        for _ in range(steps):
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=PRECISION == "bf16"):
                model(images)
        if CUDA:
            torch.cuda.synchronize(DEVICE)

    bare()
    theirs = steps * batch / min(seconds(bare) for _ in range(5))
    benchmark.extra_info.update({"ours": ours, "peer": theirs, "unit": "images/s", "ratio": ours / theirs})
    benchmark.pedantic(bare, rounds=1)
    assert theirs / ours <= 1.05
