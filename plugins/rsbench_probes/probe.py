"""A probe: a network stays as it is, and something simple is fitted to its features, computed once for all runs."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rsbench.data.splits import stratified
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.run import checkpoint_run, report
from rsbench.engine.run.build import build_network, normalization
from rsbench.engine.run.cached_features import FeatureLoader
from rsbench.engine.run.report import RunContext
from rsbench.engine.tasks.base import Evaluated, TrainingTask
from rsbench.engine.training import checkpoint
from rsbench.engine.training.device import make_fabric
from rsbench.engine.training.trainer import Progress
from rsbench.errors import UserError
from rsbench.plan import RunPlan
from rsbench.tasks.context import ModelContext
from rsbench_probes.embeddings import embeddings
from rsbench_probes.features import Features

HELD_OUT: Final = 0.2  # of training samples, where a protocol has none for validation


class Probed(nn.Module):
    """A frozen network with a head of a probe.

    Args:
        features: of images.
        head: features float32 [B, D] -> outputs [B, K].
        options: with which it is built again.
    """

    def __init__(self, features: Features, head: nn.Module, options: dict[str, Any]) -> None:
        super().__init__()
        self.features, self.head, self.options = features, head, options

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S], or features [B, D], to outputs [B, K]."""
        found = self.features(images) if images.ndim == 4 else images
        with torch.autocast(images.device.type, enabled=False):  # what is fitted is used in full precision
            return self.head(found)


@dataclass(frozen=True)
class Samples:
    """Features float32 [N, D] on the device, and labels int64 [N]."""

    features: torch.Tensor
    labels: torch.Tensor


class Probe(ABC):
    """What a recipe's ``fit`` names: called with a plan, it adds a head to a network, and runs the plan.

    A subclass says which head, what is swept, and how the head is fitted.

    Attributes:
        swept: the option whose values are tried on validation samples, strongest smoothing first.
    """

    swept: str

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.options: dict[str, Any] = dict(plan.recipe["fit_options"])

    @abstractmethod
    def head(self, width: int, outputs: int, samples: int) -> nn.Module:
        """Return an unfitted head.

        Args:
            width: of the features, D.
            outputs: K.
            samples: it is fitted to.
        """

    @abstractmethod
    def fit(self, head: Any, samples: Samples, values: Sequence[Any]) -> Any:
        """Return an iterator over the *values* of the swept option which, each time, has fitted the *head* with one and
        yields what is to be known of that.

        Args:
            head: as :meth:`head` returned it, for another number of samples maybe.
            samples: of training.
            values: of the swept option.
        """

    def prepared(self, head: Any, features: torch.Tensor, values: Sequence[Any]) -> torch.Tensor:
        """Return what stands for features of validation samples while all values are tried; they themselves.

        Args:
            head: fitted with the first value.
            features: float32 [N, D].
            values: all that are tried.
        """
        del head, values
        return features

    def network(self, network: nn.Module, context: ModelContext) -> nn.Module:
        """Return *network* with its weights, frozen, and an unfitted head.

        Raises:
            UserError: weights to start from do not fit, or it has no such features.
        """
        if self.plan.start is not None:
            checkpoint_run.load(network, dataclasses.replace(self.plan, checkpoint=self.plan.start))
        outputs = context.outputs or context.num_classes
        image = torch.zeros(1, context.channels, context.size, context.size)
        chosen = {name: self.options[name] for name in ("pooling", "layers", "flips")}
        features = Features(network, image, outputs, **chosen)
        samples = self.options.get("samples") or self._fitted_samples()
        return Probed(features, self.head(features.width, outputs, samples), self.options | {"samples": samples})

    def _fitted_samples(self) -> int:
        sizes = self.plan.protocol["split_sizes"]
        return int(sizes["train"]) + (int(sizes["val"]) if self.plan.protocol.get("refit") else 0)

    def run(self, task: TrainingTask, context: RunContext) -> tuple[dict[str, Any], Evaluated]:
        """Return what the record says of fitting, and the outcome on the test split."""
        plan, device, stage = self.plan, context.machine.device, context.stages.stage
        fabric = make_fabric(device, context.machine.precision)
        with stage("build"):
            model = build_network(task, device)
            assert isinstance(model, Probed)
            norm = normalization(plan, task.data)
        with stage("encode"):
            found = embeddings(task, model.features, norm, context.machine, fabric, context.check)
            if found.damaged:
                text = f"{found.path.name} was damaged, so the features were computed anew."
                context.emit({"type": "warning", "text": text})
            row = np.arange(len(found.values))
            values = torch.from_numpy(np.array(found.values)).to(device)

        def loader(samples: np.ndarray, given: torch.Tensor | None = None) -> ArrayLoader:
            made, place = task.make_loader(samples, device, norm, training=False), row
            if given is not None:
                place = np.zeros(len(row), dtype=np.int64)
                place[task.data.store.image_index[samples]] = np.arange(len(samples))
            return FeatureLoader.over(made, values if given is None else given, place)

        def samples(numbers: np.ndarray) -> Samples:
            images = torch.from_numpy(task.data.store.image_index[numbers]).to(device)
            labels = torch.from_numpy(task.targets[numbers]).to(device)  # type: ignore[attr-defined]
            return Samples(values.index_select(0, images), labels)

        begin = time.perf_counter()
        with stage("fit"):
            sweep, final = self._sweep(task, model, loader, samples, fabric)
        seconds = time.perf_counter() - begin
        with stage("evaluate"):
            result = task.evaluate(model, loader(task.data.test), fabric)
        return self._parts(task, context, model, norm, found, sweep, Progress(samples=final, seconds=seconds)), result

    def _sweep(
        self, task: TrainingTask, model: Probed, loader: Any, samples: Any, fabric: Any
    ) -> tuple[dict[str, Any], int]:
        """Fit the head; return what was tried, and how many samples it was fitted to at last."""
        data, values = task.data, self._values()
        train, val = (data.train, data.val) if len(data.val) else _held_out(task)
        refit = bool(self.plan.protocol.get("refit")) and len(data.val) > 0
        final = np.concatenate([data.train, data.val]) if refit else data.train
        validation: ArrayLoader | None = None
        tried: list[dict[str, Any]] = []
        best, place, training = -math.inf, len(values) // 2, samples(train)
        begin = time.perf_counter()
        for value, known in zip(values, self.fit(model.head, training, values), strict=True):
            if validation is None and len(val):
                validation = loader(val, self.prepared(model.head, samples(val).features, values))
            scores = task.validate(model, validation, fabric) if validation is not None else {}
            if scores.get(task.score, -math.inf) > best:
                best, place = scores[task.score], len(tried)
            now = time.perf_counter()
            tried.append({self.swept: value, **known, **scores, "seconds": now - begin})
            begin = now
        again = training if np.array_equal(final, train) else samples(final)
        (last,) = self.fit(model.head, again, [values[place]])
        sweep = {
            "option": self.swept,
            "chosen": values[place],
            "by": task.score if best > -math.inf else None,
            "tried": tried,
            "train_samples": len(train),
            "val_samples": len(val),
            "held_out": len(val) > 0 and not len(data.val),
            "refit": last,
            "refit_samples": len(final),
        }
        return sweep, len(final)

    def _values(self) -> list[Any]:
        """Return the values of the swept option.

        Raises:
            UserError: they are no numbers above 0.
        """
        values = self.options[self.swept]
        values = values if isinstance(values, list) else [values]
        if not values or not all(type(value) in (int, float) and value > 0 for value in values):
            raise UserError(f"fit_options.{self.swept} takes a number above 0, or a list of such.")
        return values

    def _parts(
        self,
        task: TrainingTask,
        context: RunContext,
        model: Probed,
        norm: Any,
        found: Any,
        sweep: dict[str, Any],
        progress: Progress,
    ) -> dict[str, Any]:
        built = {"fit": self.plan.recipe["fit"], "fit_options": model.options}
        facts = checkpoint.describe(task, norm) | {"fit": json.dumps(built)}
        path = Path(context.folder) / checkpoint.WEIGHTS
        embedded = {"file": found.path.name, "sha256": found.sha256, "seconds": found.seconds, "reused": found.reused}
        return {
            "train": report.train_block(progress, None, None) | {"sweep": sweep},
            "perf": report.perf_block(task, model, progress) | {"data_wait_fraction": None, "embeddings": embedded},
            "checks": [],
            "artifacts": {"checkpoint": checkpoint.save(model.state_dict(), path, facts)},
        }


def _held_out(task: TrainingTask) -> tuple[np.ndarray, np.ndarray]:
    """Return training samples for fitting and for validation: of each class a fifth is set apart, by its ids."""
    data = task.data
    ids, labels = [data.store.ids[i] for i in data.train], data.store.labels[data.train]
    parts = stratified(ids, {"label": labels}, fractions=(1 - HELD_OUT, HELD_OUT, 0.0))
    return data.train[parts["train"]], data.train[parts["val"]]
