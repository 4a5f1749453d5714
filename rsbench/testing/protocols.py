"""Checks of a protocol: that its parts fit one another."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from rsbench.registry import registry
from rsbench.specs import ProtocolSpec
from rsbench.testing.contract import Checks, Group, require

CHECKS: Final = Checks()


def groups(spec: ProtocolSpec) -> Iterator[Group]:
    """Yield the checks of a protocol."""
    yield Group(spec.name, CHECKS, lambda: spec)


@CHECKS(
    "metrics-fit",
    reason="a board is ranked by the primary metric",
    remedy="name metrics of the protocol's task, the primary one among them",
)
def metrics_fit(spec: ProtocolSpec) -> None:
    """All metrics are of the task, and the primary is one of them."""
    require(spec.primary in spec.metrics, f"primary '{spec.primary}' is not among its metrics")
    other = [name for name in spec.metrics if spec.task not in registry().get("metric", name).tasks]
    require(not other, f"{', '.join(other)} is not for {spec.task}")


@CHECKS(
    "dataset-fits",
    reason="a protocol without a dataset is never run",
    remedy="name an installed dataset that has the protocol's task, and bands that it has",
)
def dataset_fits(spec: ProtocolSpec) -> None:
    """An installed dataset is meant, and it has the bands."""
    found = [d for n, d in registry().specs("dataset").items() if fnmatchcase(n, spec.dataset)]
    require(found, f"no installed dataset is called '{spec.dataset}'")
    for dataset in found:
        missing = [b for b in spec.bands or () if dataset.bands and b not in {band.name for band in dataset.bands}]
        require(not missing, f"dataset '{dataset.name}' has no band {', '.join(missing)}")


@CHECKS(
    "selection",
    reason="how the checkpoint is chosen decides what a score means",
    remedy="use last, or best_val where the split has a validation part",
)
def selection(spec: ProtocolSpec) -> None:
    """It is one that the engine knows; the recipe is for the task; seeds differ."""
    require(spec.selection in ("last", "best_val"), f"selection '{spec.selection}' is neither last nor best_val")
    recipe = registry().get("recipe", spec.recipe)
    require(spec.task in recipe.tasks, f"recipe '{spec.recipe}' is for {', '.join(recipe.tasks)}, not for {spec.task}")
    require(spec.seeds and len(set(spec.seeds)) == len(spec.seeds), "seeds are missing or repeat")
