"""The work of a network whose run is over, counted anew from the plan in its record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from rsbench.data.location import data_root
from rsbench.data.places import of_fingerprint
from rsbench.engine.input.run_data import open_data
from rsbench.engine.input.synthetic import synthetic_data
from rsbench.engine.run.build import build_network, make_task
from rsbench.engine.step.count_macs import macs_of_sample
from rsbench.engine.tasks.base import TrainingTask
from rsbench.plan import RunPlan
from rsbench.registry import registry
from rsbench.tasks.task import get_task
from rsbench.tasks.text import SPECIAL

CPU: Final = torch.device("cpu")
FEW, MORE = len(SPECIAL) + 100, len(SPECIAL) + 200  # words


def count_macs_of_plan(plan: Mapping[str, Any], params: int | None = None, root: Path | None = None) -> int | None:
    """Return the multiply-accumulates of one sample, as a run of *plan* counts them today.

    The network is built with random weights: work does not depend on them.  Where the dataset is not prepared, shapes
    come from the plan, and how many words there are, which no plan holds, from the number of parameters.

    Args:
        plan: the ``plan`` of a run's record.
        params: parameters of the network, ``perf.params`` of the record; a network of another number is not counted.
        root: folder of the prepared data; default: where commands look for them.

    Returns:
        ``None`` where that network cannot be built here: an estimator or another kind of plan, a plugin or data that
        are missing, a model that has changed.
    """
    if plan["model"].get("kind") != "network":
        return None
    try:
        task, network = _built(unweighted(plan), params, data_root(root))
    except Exception:  # whatever a plugin's factory raises
        return None
    same = params in (None, parameters(network))
    return macs_of_sample(task, network) if same else None


def unweighted(plan: Mapping[str, Any]) -> RunPlan:
    """Return the plan of a record with random weights."""
    run = RunPlan.from_record(plan)
    options = dict(run.model["options"])
    if "weights" in options:
        options["weights"] = "none"
    return dataclasses.replace(run, model={**run.model, "options": options})


def _built(plan: RunPlan, params: int | None, root: Path) -> tuple[TrainingTask, nn.Module]:
    about = plan.dataset
    store = of_fingerprint(root, registry().get("dataset", about["name"]), about["fingerprint"])
    here = dataclasses.replace(plan, dataset={**plan.dataset, "store": str(store)})
    try:
        task = make_task(here, open_data(here))
    except Exception:  # not prepared, or of another version
        return _of_shapes(plan, params)
    return task, build_network(task, CPU)


def _of_shapes(plan: RunPlan, params: int | None) -> tuple[TrainingTask, nn.Module]:
    """Build from the plan alone; each further word adds as many parameters as the last."""
    if not get_task(plan.task).shapes_in_plan:
        raise ValueError(f"A plan of {plan.task} does not say all shapes.")
    few, more = (_with_words(plan, words) for words in (FEW, MORE))
    first, growth = parameters(few[1]), parameters(more[1]) - parameters(few[1])
    if growth == 0:
        return few
    if params is None:
        raise ValueError("How many words there are is not in the plan.")
    return _with_words(plan, FEW + (params - first) * (MORE - FEW) // growth)


def _with_words(plan: RunPlan, words: int) -> tuple[TrainingTask, nn.Module]:
    shaped = dataclasses.replace(plan, dataset={**plan.dataset, "words": words})
    task = make_task(shaped, synthetic_data(shaped))
    return task, build_network(task, CPU)


def parameters(network: nn.Module) -> int:
    """Return how many there are."""
    return sum(p.numel() for p in network.parameters())
