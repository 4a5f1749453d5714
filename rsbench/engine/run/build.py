"""Model, loss and normalization of a run, built from its plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.normalization import Normalization, normalization_for
from rsbench.engine.input.run_data import RunData
from rsbench.engine.tasks.base import TrainingTask
from rsbench.errors import RunError
from rsbench.plan import RunPlan
from rsbench.recipes import fit_of
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import ModelContext


def make_task(plan: RunPlan, data: RunData) -> TrainingTask:
    """Return the training side of the plan's task."""
    return load_attribute(registry().get("task", plan.task).training)(plan, data)


def build_model(plan: RunPlan, context: ModelContext) -> Any:
    """Call the model's factory with the plan's options; an error names the model and its package."""
    factory = load_attribute(plan.model["factory"])
    return factory(context, **plan.model["options"])


def build_network(task: TrainingTask, device: torch.device) -> nn.Module:
    """Build the run's network from its seed, on *device*.

    Raises:
        RunError: the factory returned something else.
    """
    return network(task.plan, task.model_context(), device)


def network(plan: RunPlan, context: ModelContext, device: torch.device) -> nn.Module:
    """Build a network from the plan's seed and what its factory is told; see :func:`build_network`."""
    torch.manual_seed(plan.seed)
    np.random.seed(plan.seed % 2**32)
    model = build_model(plan, context)
    if not isinstance(model, nn.Module):
        raise RunError(f"The factory of '{plan.model['name']}' returned {type(model).__name__}, not a module.", "build")
    if (fit := fit_of(plan.recipe)) is not None:
        model = fit(plan).network(model, context)
    if device.type == "cuda":
        torch.cuda.manual_seed(plan.seed)  # fork_rng, under which a factory may try things out, is of the CPU alone
    return model.to(device=device, memory_format=torch.channels_last)


def normalization(plan: RunPlan, data: RunData) -> Normalization:
    """Normalization that the model declares, with statistics of the training split's images where it asks for them."""
    images = np.unique(data.store.image_index[data.train])  # samples may share images: a hundred questions do
    return normalization_for(plan.model["accepts"]["normalisation"], data.store.images, images, data.bands)
