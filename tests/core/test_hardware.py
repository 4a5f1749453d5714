"""What is told of the machine without torch is what torch finds, so that a dry run says what the run does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from rsbench import hardware

FLAGS = "processor\t: 0\nflags\t\t: fpu sse {}avx512f\n\nprocessor\t: 1\nflags\t\t: fpu\n"


@pytest.fixture(autouse=True)
def anew() -> None:
    hardware.cpu_has_bf16.cache_clear()
    hardware.can_have_gpu.cache_clear()


def test_it_is_what_torch_finds() -> None:
    assert hardware.cpu_has_bf16() is bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    assert hardware.can_have_gpu() or not torch.cuda.is_available()


@pytest.mark.parametrize(
    ("machine", "info", "has"),
    [
        ("x86_64", FLAGS.format("avx512_bf16 "), True),
        ("x86_64", FLAGS.format("avx512_bf16x "), False),
        ("x86_64", FLAGS.format(""), False),
        ("aarch64", FLAGS.format("avx512_bf16 "), False),
        ("AMD64", None, True),  # no such file: torch is asked
    ],
)
def test_bf16_of_a_cpu(
    machine: str, info: str | None, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "cpuinfo")
    if info is not None:
        (tmp_path / "cpuinfo").write_text(info)
    assert hardware.cpu_has_bf16() is has


@pytest.mark.parametrize(
    ("platform", "library", "node", "can"),
    [
        ("linux", False, None, False),
        ("linux", True, None, True),
        ("linux", False, "/dev/kfd", True),
        ("linux", False, "/dev/nvidiactl", True),
        ("darwin", True, None, False),
        ("win32", False, None, True),
    ],
)
def test_where_a_gpu_can_be(
    platform: str, library: bool, node: str | None, can: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> object:
        if not library:
            raise OSError(f"{name}: cannot open shared object file")
        return object()

    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("ctypes.CDLL", load)
    monkeypatch.setattr(os.path, "exists", lambda path: path == node)
    assert hardware.can_have_gpu() is can
