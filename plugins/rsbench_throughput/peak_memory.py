"""Peak memory of one batch size."""

from __future__ import annotations

from pathlib import Path

import torch

from rsbench.engine.memory import peak_memory_bytes

CLEAR: str = "5"  # what resets the peak resident set (Linux, proc_pid_clear_refs(5))


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
