"""``doctor``: what this machine has, and what is missing."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from rsbench import __version__
from rsbench.cli import lazy
from rsbench.cores import usable_cores
from rsbench.registry import registry

# In a process of its own: importing torch takes seconds, and a broken CUDA can end a process.
PROBE = """
import json, torch
cuda = torch.cuda.is_available()
name = torch.cuda.get_device_name(0) if cuda else None
facts = {"version": torch.__version__, "cuda": torch.version.cuda, "devices": torch.cuda.device_count(), "name": name}
print(json.dumps(facts))
"""
EXTRAS = {"meteor": "pycocoevalcap", "energy": "pynvml", "ray": "ray"}


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "doctor", doctor, chosen)


def doctor(
    data_root: Annotated[Path | None, typer.Option(help="Data root to look at.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the environment: Python, torch, devices, cores, disk, datasets, plugins.

    Exits with 1 where something needed is missing.
    """
    facts = examine(data_root)
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        for key, value in facts.items():
            typer.echo(f"{key:<12} {_torch_line(value) if key == 'torch' else _line(value)}")
    if facts["problems"]:
        raise typer.Exit(1)


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list):
        return "; ".join(str(v) for v in value) or "none"
    return str(value)


def _torch_line(facts: dict[str, Any]) -> str:
    if not facts:
        return "cannot be used"
    built = f"built for CUDA {facts['cuda']}" if facts["cuda"] else "built for CPUs"
    devices = f"{facts['devices']} x {facts['name']}" if facts["devices"] else "no GPU"
    return f"{facts['version']}, {built}; {devices}"


def examine(data_root: Path | None) -> dict[str, Any]:
    """Return the facts by topic."""
    from rsbench.data import location

    problems = [str(p) for p in registry().problems]
    torch = _torch(problems)
    root = location.data_root(data_root)
    existing = next(p for p in (root, *root.parents) if p.exists())
    return {
        "rsbench": __version__,
        "python": platform.python_version(),
        "torch": torch,
        "packages": {
            n: _version(n) for n in ("torchvision", "timm", "torchgeo", "lightning-fabric", "numpy", "pandas")
        },
        "cores": usable_cores(),
        "data root": str(root),
        "disk free": f"{shutil.disk_usage(existing).free / 1e9:.1f} GB",
        "prepared": sorted(p.parent.name for p in root.glob("prepared/*/complete")),
        "extras": {extra: "installed" if find_spec(module) else "not installed" for extra, module in EXTRAS.items()},
        "plugins": sorted(registry().plugins),
        "problems": problems,
    }


def _torch(problems: list[str]) -> dict[str, Any]:
    try:
        found = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=120, check=True)
        return json.loads(found.stdout)
    except subprocess.CalledProcessError as error:
        problems.append(f"torch cannot be used: {error.stderr.strip().splitlines()[-1]}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        problems.append(f"torch cannot be used: {error}")
    return {}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"
