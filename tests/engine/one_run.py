"""The plan of one short run on EuroSAT, on one thread of a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rsbench.plan import RunPlan, RunRequest, expand


def one_run(root: Path, out: Path, recipe: dict[str, Any], model: str = "tiny-cnn", **request: Any) -> RunPlan:
    """Return the plan of seed 0 with changes of the recipe and further fields of the request."""
    common: dict[str, Any] = {"dataset": "eurosat", "data_root": root, "out": str(out), "seeds": (0,), "device": "cpu"}
    return expand(RunRequest(models=((model, {}),), changes=recipe, threads=1, **(common | request)))[0]
