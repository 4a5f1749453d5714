"""A request becomes checked plans, one for each seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One run, decided to the last detail and JSON-able.

    model: name, version, options (all, resolved), label (name and the options that differ from their defaults), kind,
        factory, accepts, params, plugin, distribution, distribution_version, source_sha256, weights_sha256, tags.
    dataset: name, version, fingerprint, store (path), image_shape, dtype, classes, bands.
    protocol: name, version, fingerprint, task, split_sizes, split_sha256, bands, size, primary, metrics, selection,
        targets.  With ``overfit`` set, training and test split are the same first images.
    recipe: every field of the RecipeSpec, after ``--set``.
    """

    run_id: str
    task: str
    seed: int
    division: str  # closed | open | debug
    command: str
    model: Mapping[str, Any]
    dataset: Mapping[str, Any]
    protocol: Mapping[str, Any]
    recipe: Mapping[str, Any]
    device: str = "auto"  # auto | cpu | cuda | cuda:N
    threads: int = 0  # 0: as many as the cores this process may use
    overfit: int | None = None  # train and test on this many training images
    out: str = "rsbench-results"  # the run's folder is <out>/<run_id>
    data_root: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunPlan:
        """Inverse of :meth:`to_dict`."""
        return cls(**data)
