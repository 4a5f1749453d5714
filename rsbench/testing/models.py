"""Which checks look at a model."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.specs import ModelSpec, load_attribute
from rsbench.testing import estimators, network_modes, networks
from rsbench.testing.contract import Group
from rsbench.testing.model_trial import ModelTrial
from rsbench.testing.trials import trial_of


def groups(spec: ModelSpec) -> Iterator[Group]:
    """Yield the checks of each task of a model; the name says which, where there are several."""
    for task in spec.tasks:
        name = spec.name if len(spec.tasks) == 1 else f"{spec.name}@{task}"
        trial = ModelTrial(spec, task)
        if spec.kind == "estimator":
            yield Group(name, estimators.CHECKS, lambda trial=trial: trial)  # type: ignore[misc]
            continue
        more = trial_of(task).checks
        checks = [*networks.CHECKS, *network_modes.CHECKS, *(load_attribute(more) if more else ())]
        yield Group(name, checks, lambda trial=trial: trial)  # type: ignore[misc]
