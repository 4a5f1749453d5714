"""Peak memory, and what counts as running out of it."""

from __future__ import annotations

import gc

import torch

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


def peak_memory_bytes(device: torch.device) -> int:
    """Largest memory taken: of the device on a GPU, of the process elsewhere."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
