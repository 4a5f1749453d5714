"""Peak memory, and what counts as running out of it."""

from __future__ import annotations

import gc
from pathlib import Path

import torch

CLEAR: str = "5"  # what resets the peak resident set (Linux, proc_pid_clear_refs(5))
CPU_ALLOCATOR: str = "DefaultCPUAllocator"
# What loads graphs and kernels past torch's allocator says it in a plain error.  cuBLAS is not among them: its "alloc
# failed" may be what follows from an error in a kernel.
CUDA_LIBRARIES: tuple[str, ...] = (
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "Triton Error [CUDA]: out of memory",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch's own, Python's, that of torch's allocator on the CPU, of CUDA's
    libraries, or any of these while ``torch.compile`` tried kernels."""
    inner = getattr(error, "inner_exception", None)
    if isinstance(inner, BaseException):
        return is_out_of_memory(inner)
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    if type(error) not in (RuntimeError, torch.AcceleratorError):
        return False
    return text.startswith(CUDA_LIBRARIES) or (CPU_ALLOCATOR in text and "memory" in text)


def release(device: torch.device) -> None:
    """Give back what is no longer held."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


class PeakMemory:
    """Peak memory since its making, in bytes: allocated on a GPU; the resident set of the whole process elsewhere."""

    def __init__(self, device: torch.device, process: Path = Path("/proc/self")) -> None:
        self.device, self.process = device, process
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            (process / "clear_refs").write_text(CLEAR)
        except OSError:
            self.process = Path()  # the peak cannot be reset: it is that of the process's whole life

    def bytes(self) -> int:
        """Return the peak."""
        if self.device.type != "cuda" and self.process != Path():
            for line in (self.process / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return peak_memory_bytes(self.device)


def peak_memory_bytes(device: torch.device) -> int:
    """Largest memory taken: of the device on a GPU, of the process elsewhere."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
