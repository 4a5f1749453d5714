"""The plan of one short run on EuroSAT, on one thread of a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rsbench.plan import RunPlan, RunRequest, expand

FULL: Final = {"precision": "fp32"}  # ``auto`` depends on the processor


def one_run(root: Path, out: Path, recipe: dict[str, Any], model: str = "tiny-cnn", **request: Any) -> RunPlan:
    """Return the plan of seed 0, in float32, with changes of the recipe and further fields of the request."""
    common: dict[str, Any] = {"dataset": "eurosat", "data_root": root, "out": str(out), "seeds": (0,), "device": "cpu"}
    return expand(RunRequest(models=((model, {}),), changes=FULL | recipe, threads=1, **(common | request)))[0]
