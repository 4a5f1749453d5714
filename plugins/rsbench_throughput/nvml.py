"""Energy, clock and throttling of an NVIDIA GPU, where NVML is available (``pip install rsbench[energy]``)."""

from __future__ import annotations

from typing import Any, Final

import torch

# Reasons (NVML's bits) that slow a busy GPU down.
REASONS: Final = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal (software)",
    0x40: "thermal (hardware)",
    0x80: "power brake",
}


class Nvml:
    """A GPU as NVML sees it; everything is ``None`` where NVML, or one of its functions, is not there."""

    def __init__(self, device: torch.device) -> None:
        self.nvml: Any = None
        self.handle: Any = None
        self.clocks: list[int] = []
        self.reasons: set[str] | None = None  # until they are known
        if device.type == "cuda":
            self._open(device)

    def _open(self, device: torch.device) -> None:
        try:
            import pynvml

            pynvml.nvmlInit()
            uuid = str(torch.cuda.get_device_properties(device).uuid)
            self.handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
            self.nvml = pynvml
            if (self._ask("nvmlDeviceGetMigMode") or [0])[0]:
                self.nvml = None  # meters are of the whole GPU, of which this is one instance
        except Exception:  # ImportError, or an error of the driver: a measurement goes on without it
            self.nvml = None

    def _ask(self, function: str, *arguments: Any) -> Any:
        if self.nvml is None:
            return None
        try:
            return getattr(self.nvml, function)(self.handle, *arguments)
        except (AttributeError, self.nvml.NVMLError):
            return None

    def energy_j(self) -> float | None:
        """Joules since the driver was loaded."""
        millijoules = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1e3

    def look(self) -> None:
        """Note clock and throttling of this moment; meant for one at which the GPU is at work."""
        if self.nvml is None:
            return
        clock = self._ask("nvmlDeviceGetClockInfo", self.nvml.NVML_CLOCK_SM)
        bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        self.clocks += [] if clock is None else [int(clock)]
        if bits is not None:
            self.reasons = (self.reasons or set()) | {name for bit, name in REASONS.items() if bits & bit}

    def block(self) -> dict[str, Any]:
        """Return lowest and highest SM clock in MHz, the device's highest, and what throttled it."""
        if self.nvml is None:
            return {"clock_mhz": None, "throttle": None}
        most = self._ask("nvmlDeviceGetMaxClockInfo", self.nvml.NVML_CLOCK_SM)
        seen = {"low": min(self.clocks), "high": max(self.clocks), "most": most} if self.clocks else None
        return {"clock_mhz": seen, "throttle": None if self.reasons is None else sorted(self.reasons)}
