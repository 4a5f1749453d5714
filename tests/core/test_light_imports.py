"""Listing is free: nothing heavy is imported until something is built."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "torch",
    "torchvision",
    "timm",
    "torchgeo",
    "lightning",
    "lightning_fabric",
    "pandas",
    "numpy",
    "numba",
    "scipy",
    "pyarrow",
]
PLUGINS = [
    "captioners",
    "claims",
    "baselines",
    "convnets",
    "eurosat",
    "export",
    "figures",
    "formats",
    "html",
    "latex",
    "launchers",
    "losses",
    "metrics",
    "mlflow",
    "mllog",
    "multitask",
    "ray",
    "rsvqa",
    "scenes",
    "spatialnet",
    "speedrun",
    "tensorboard",
    "throughput",
    "time-to",
    "timm",
    "torchgeo",
    "ucm-captions",
    "vqa",
    "wandb",
]


def loaded_after(code: str) -> list[str]:
    script = f"import sys\n{code}\nimport json; print('\\n' + json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "models"], ["show", "bmta"], ["show", "timm:resnet18"], ["plugins"]]
)
def test_command_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"sys.argv = ['rsbench', *{arguments!r}]\nfrom rsbench.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert loaded_after(code) == []


def test_listing_loads_nothing_of_runs() -> None:
    code = """import sys
from rsbench.cli import main
sys.argv = ["rsbench", "list", "models"]
try: main()
finally: print([m for m in sys.modules if m.startswith(("rsbench.engine.launch.", "rsbench.plan", "ctypes"))])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("\n[]\n"), done.stdout[-300:] + done.stderr


def test_planning_needs_no_torch() -> None:
    assert (
        loaded_after("import rsbench.plan, rsbench.config, rsbench.engine.launch.launch, rsbench.records.store") == []
    )


@pytest.mark.parametrize("name", PLUGINS)
def test_each_plugin_is_light_and_gives_its_specs(name: str) -> None:
    code = f"from rsbench.registry import load\nr = load(environ={{'RSBENCH_PLUGINS': '{name}'}})\nassert not r.problems, r.problems"
    assert loaded_after(code) == []
