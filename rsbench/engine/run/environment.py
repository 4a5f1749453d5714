"""The ``env`` and ``perf`` blocks of a record: what a number was obtained on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import psutil
import torch

import rsbench

PACKAGES: Final = (
    "numba",
    "numpy",
    "torch",
    "torchvision",
    "timm",
    "torchgeo",
    "lightning-fabric",
    "scipy",
    "simplejpeg",
    "kornia",
)


def describe(device: torch.device, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``env`` block; what cannot be known is ``None``."""
    return {
        "rsbench": rsbench.__version__,
        "git": git_state(),
        "python": platform.python_version(),
        "os": platform.platform(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "driver": driver_version() if device.type == "cuda" else None,
        "device": describe_device(device),
        "cpu": {"name": cpu_name(), "cores": len(psutil.Process().cpu_affinity() or []) or os.cpu_count()},
        "packages": {name: _version(name) for name in PACKAGES},
        "flags": dict(flags),
    }


def describe_device(device: torch.device) -> dict[str, Any]:
    """Name, number and memory in bytes of the device."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return {"type": "cuda", "name": properties.name, "count": 1, "memory": properties.total_memory}
    return {"type": device.type, "name": cpu_name(), "count": 1, "memory": psutil.virtual_memory().total}


def cpu_name() -> str:
    """The processor's own name, or its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def driver_version() -> str | None:
    """NVIDIA's driver version."""
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return None


def git_state() -> dict[str, Any] | None:
    """Commit and cleanliness of rsbench's own checkout, or ``None`` where it is not run from one."""
    folder = Path(rsbench.__file__).parent.parent
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD").strip()
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty}


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
