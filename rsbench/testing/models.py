"""Which checks look at a model."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.specs import ModelSpec
from rsbench.testing import captioners, estimators, network_modes, networks
from rsbench.testing.contract import Group
from rsbench.testing.model_trial import ModelTrial


def groups(spec: ModelSpec) -> Iterator[Group]:
    """Yield the checks of each task of a model; the name says which, where there are several."""
    for task in spec.tasks:
        name = spec.name if len(spec.tasks) == 1 else f"{spec.name}@{task}"
        trial = ModelTrial(spec, task)
        if spec.kind == "estimator":
            yield Group(name, estimators.CHECKS, lambda trial=trial: trial)  # type: ignore[misc]
            continue
        checks = [*networks.CHECKS, *network_modes.CHECKS, *(captioners.CHECKS if task == "captioning" else ())]
        yield Group(name, checks, lambda trial=trial: trial)  # type: ignore[misc]
