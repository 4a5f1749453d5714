"""What a GPU is asked, with CUDA's events, NVML and errors made up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rsbench_throughput import feed
from rsbench_throughput import measure as measurement
from rsbench_throughput.drift import reference_logits
from rsbench_throughput.nvml import Nvml
from rsbench_throughput.plan import ThroughputRequest, expand
from rsbench_throughput.subject import Workload

from rsbench.engine.memory import is_out_of_memory
from rsbench.engine.run import run
from rsbench.engine.run.report import Machine
from rsbench.engine.step.timing import CudaClock, HostClock, clock_of

GPU = torch.device("cuda", 1)
UUID = "7f1d2c3b-0000-1111-2222-333344445555"


# The clock


def test_a_window_lies_between_two_events_and_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            self.name = ("begin", "end")[sum(note.startswith("made") for note in done)]
            done.append(f"made {self.name}")

        def record(self) -> None:
            done.append(self.name)

        def synchronize(self) -> None:
            done.append(f"wait for {self.name}")

        def elapsed_time(self, other: Event) -> float:
            assert done[-1] == "wait for end"
            return 1250.0 if (self.name, other.name) == ("begin", "end") else -1.0

    class Device:
        def __init__(self, device: torch.device) -> None:
            assert device == GPU

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "device", Device)
    clock = clock_of(GPU, lambda: done.append("look"))
    assert clock.window(lambda: done.append("step"), 3) == 1.25
    assert done == ["made begin", "made end", "begin", "step", "step", "step", "end", "look", "wait for end"]
    assert isinstance(clock, CudaClock)
    assert isinstance(clock_of(torch.device("cpu")), HostClock)


# NVML


class NVMLError(Exception):
    """The library's error."""


def library(**functions: Any) -> SimpleNamespace:
    """An NVML of GPUs whose handles are their UUIDs, where one function is not supported unless it is given."""

    def not_supported(*_: Any) -> Any:
        raise NVMLError("Not Supported")

    names = ("TotalEnergyConsumption", "ClockInfo", "MaxClockInfo", "CurrentClocksThrottleReasons", "MigMode")
    made: dict[str, Any] = {f"nvmlDeviceGet{name}": not_supported for name in names}
    made |= {"nvmlInit": lambda: None, "nvmlDeviceGetHandleByUUID": lambda uuid: uuid}
    return SimpleNamespace(NVMLError=NVMLError, NVML_CLOCK_SM=1, **made | functions)


@pytest.fixture
def open_nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Nvml]:
    """Return what opens a made-up NVML for the second GPU that CUDA shows."""

    def properties(device: torch.device) -> SimpleNamespace:
        assert device == GPU
        return SimpleNamespace(uuid=UUID)

    def opened(**functions: Any) -> Nvml:
        monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
        monkeypatch.setitem(sys.modules, "pynvml", library(**functions))
        return Nvml(GPU)

    return opened


def test_the_gpu_is_found_by_its_uuid_and_its_meters_are_read(open_nvml: Callable[..., Nvml]) -> None:
    """NVML counts all GPUs, CUDA those of CUDA_VISIBLE_DEVICES, so that a number would mean another one."""
    millijoules, clocks = iter([1000, 3500]), iter([1980, 1755])
    seen = open_nvml(
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(millijoules),
        nvmlDeviceGetClockInfo=lambda handle, kind: next(clocks),
        nvmlDeviceGetMaxClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x01 | 0x04 | 0x40,
        nvmlDeviceGetMigMode=lambda handle: [0, 0],
    )
    assert seen.handle == f"GPU-{UUID}"
    assert (seen.energy_j(), seen.energy_j()) == (1.0, 3.5)
    seen.look()
    seen.look()
    assert seen.block() == {
        "clock_mhz": {"low": 1755, "high": 1980, "most": 1980},
        "throttle": ["power cap", "thermal (hardware)"],
    }


def test_a_busy_gpu_that_nothing_slows_down_is_not_unknown(open_nvml: Callable[..., Nvml]) -> None:
    seen = open_nvml(nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0)
    assert seen.block()["throttle"] is None  # nobody has looked
    seen.look()
    assert seen.block() == {"clock_mhz": None, "throttle": []}


def test_what_nvml_does_not_support_is_null(open_nvml: Callable[..., Nvml]) -> None:
    seen = open_nvml()
    seen.look()
    assert seen.energy_j() is None
    assert seen.block() == {"clock_mhz": None, "throttle": None}


def test_meters_of_a_gpu_that_others_share_by_mig_are_null(open_nvml: Callable[..., Nvml]) -> None:
    seen = open_nvml(
        nvmlDeviceGetMigMode=lambda handle: [1, 1],
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 1000,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0,
    )
    seen.look()
    assert seen.energy_j() is None
    assert seen.block() == {"clock_mhz": None, "throttle": None}


def test_a_gpu_that_nvml_does_not_know_is_measured_without_it(open_nvml: Callable[..., Nvml]) -> None:
    def not_found(uuid: str) -> Any:
        raise NVMLError(uuid)

    assert open_nvml(nvmlDeviceGetHandleByUUID=not_found).energy_j() is None


# Memory


def wrapped(inner: Exception) -> Exception:
    """As inductor reports what went wrong while it tried kernels."""
    from torch._inductor.exc import InductorError

    return InductorError(inner, None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.AcceleratorError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in ..."), True),
        (RuntimeError("CUDA driver error: out of memory"), True),
        (RuntimeError("Triton Error [CUDA]: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (wrapped(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")), True),
        (wrapped(ValueError("CUDA out of memory. Tried to allocate 2.00 GiB.")), False),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), False),
        (RuntimeError("Triton Error [CUDA]: device-side assert triggered"), False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear ..."), False),
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_every_way_in_which_cuda_says_that_memory_ran_out(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.fixture
def subject(tmp_path: Path) -> Workload:
    (plan,) = expand(
        ThroughputRequest(models=("tiny-cnn",), size=16, threads=1, device="cpu", precision="fp32", out=str(tmp_path))
    )
    return Workload.build(plan, Machine.prepare(plan))


def test_cuda_graphs_of_the_sweep_are_dropped_before_the_loader_is_measured(
    subject: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(subject, "reset_compiled", lambda: done.append("forget"))
    monkeypatch.setattr(feed, "release", lambda device: done.append("release"))
    monkeypatch.setattr(feed, "_measured", lambda *_: done.append("measure"))
    feed.data_wait(subject, 4, SimpleNamespace(device=torch.device("cpu")))  # type: ignore[arg-type]
    assert done == ["forget", "release", "measure"]


def test_memory_is_given_back_before_the_peak_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ThroughputRequest(
        models=("tiny-cnn",), size=16, threads=1, device="cpu", precision="fp32", out=str(tmp_path), quick=True
    )
    (plan,) = expand(request)
    done: list[str] = []
    monkeypatch.setattr(Workload, "reset_compiled", lambda self: done.append("forget"))
    monkeypatch.setattr(measurement, "release", lambda device: done.append("release"))
    monkeypatch.setattr(measurement, "latency", lambda *_: None)
    monkeypatch.setattr(measurement, "data_wait", lambda *_: None)
    monkeypatch.setattr(measurement, "matrix_peak", lambda *_: done.append("peak") or {"flops": 1.0})
    warmup = {"first_s": 1.0, "seconds": 1.0, "windows": 1, "steady": True}
    point = {"batch": 2, "steps": 1, "window_s": [1.0], "samples_per_s": 1.0, "quartiles": [1.0, 1.0], "warmup": warmup}
    point |= {"peak_memory_bytes": 1, "energy_j": None}
    monkeypatch.setattr(measurement, "measured", lambda *_: {"batch": 2, "stopped": "listed", "points": [point]})
    made = run.execute(plan, lambda event: None)
    assert made["error"] is None
    assert done == ["forget", "release", "peak"]


# Drift


def test_the_reference_is_taken_without_tf32(subject: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, str]] = []

    def now() -> tuple[bool, str]:
        return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()

    forward = subject.task.forward
    monkeypatch.setattr(subject.task, "forward", lambda *given: seen.append(now()) or forward(*given))
    before = now()
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        reference_logits(subject, subject.batch(2))
        assert seen == [(False, "highest")]
        assert now() == (True, "high")
    finally:
        torch.backends.cudnn.allow_tf32 = before[0]
        torch.set_float32_matmul_precision(before[1])
