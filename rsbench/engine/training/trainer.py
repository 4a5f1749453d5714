"""The training loop: epochs over an :class:`ArrayLoader`, phases, selection, early stop and exact resumption.

Nothing in a step waits for the device: losses are summed there and fetched when progress is shown.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import nn

from rsbench.engine.events import Emit, Interrupted
from rsbench.engine.parallel.ranks import SINGLE_PROCESS, Ranks
from rsbench.engine.step.oom_recovery import StepRunner
from rsbench.engine.step.snapshot import random_state, set_random_state
from rsbench.engine.training import resume
from rsbench.engine.training.checkpoint_selection import Selection
from rsbench.engine.training.device import scaling, set_up
from rsbench.engine.training.ema import MovingAverage
from rsbench.engine.training.optimizers import Schedule, make_optimizer
from rsbench.engine.training.phases import freeze, phases_of, set_training_mode
from rsbench.errors import RunError

PROGRESS_SECONDS: Final = 0.5
RESUME_SECONDS: Final = 60.0
AGREE_STEPS: Final = 16  # between questions of several ranks whether the first wants to show progress or to stop


@dataclass
class Progress:
    """What a resumed run has to know; all of it is JSON-able or tensors."""

    epoch: int = 0  # epochs finished, over all phases
    step: int = 0  # batches finished in the epoch under way
    steps: int = 0
    samples: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0
    loss_sum: float = 0.0
    stopped: bool = False
    curve: list[dict[str, Any]] = field(default_factory=list)


class Work(Protocol):
    """What the trainer asks of a task: :class:`rsbench.engine.tasks.base.TrainingTask`, or several at once."""

    def loss(self, model: Any, batch: Any, loss: Any) -> torch.Tensor:
        """Return the loss of a batch; autocast is on around the call."""

    def logs(self) -> dict[str, float]:
        """Return what was noted of the training epoch just finished."""

    def state_dict(self) -> dict[str, Any]:
        """Return what has been noted of the epoch under way; a run that is resumed goes on with it."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what was noted."""

    def validate(self, model: Any, loader: Any, fabric: Any) -> dict[str, float]:
        """Return losses and scores of the validation split."""


class Loader(Protocol):
    """What the trainer asks of a training loader; batches have a length, their samples."""

    device: torch.device

    def __len__(self) -> int:
        """Batches in an epoch."""

    def training_epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """Yield the batches of an epoch from number *start* on."""

    @property
    def batch_samples(self) -> float:
        """Samples in a batch, on average."""


def finite_or_none(value: Any) -> float | None:
    """Return a value that a network logs, where it is a number that JSON has."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


class Trainer:
    """Trains one network by one recipe.

    Args:
        fabric: Lightning Fabric or what stands in for it.
        identity: of the run, which its state must have to be resumed from.
        emit: gets events of progress.
        on_epoch: called with the epoch's number and its logs.
        task: what the task does with a batch.
        model: the network, on the device; trained in place.
        recipe: resolved fields of a RecipeSpec.
        loss: passed on to the task; ``(logits [B, K], targets [B]) -> scalar``.
        train, val: loaders; ``val`` may be ``None`` where the protocol has no validation split.
        selections: which epochs' weights are wanted; :meth:`take` puts them into the network after training.
        folder: of the run, for the state to resume from.
        interrupted: asked after each step; true ends the run with :class:`Interrupted`.
        gradients: how they are taken, where a run has tried it out already; on several ranks it must not retry.
        ranks: this process among those of the run; what depends on clocks the first decides for all, and any of them
            may be asked to stop.
    """

    def __init__(
        self,
        task: Work,
        model: nn.Module,
        recipe: Mapping[str, Any],
        loss: Any,
        train: Loader,
        val: Any,
        *,
        fabric: Any,
        selections: Sequence[Selection],
        folder: Path,
        identity: str,
        emit: Emit,
        on_epoch: Callable[[int, dict[str, Any]], None],
        interrupted: Callable[[], bool],
        gradients: StepRunner | None = None,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        self.ranks = ranks
        self.gradients = gradients or StepRunner(task, loss, fabric, model, train.device, retries=ranks.world == 1)
        self.task, self.model, self.recipe = task, model, dict(recipe)
        self.train, self.val, self.fabric, self.scaling = train, val, fabric, scaling(fabric)
        self.selections, self.folder, self.identity = selections, folder, identity
        self.emit, self.on_epoch, self.interrupted = emit, on_epoch, interrupted
        self.progress = Progress()
        self.ema = MovingAverage(model, recipe["ema"]) if recipe["ema"] else None
        self.phases = phases_of(self.recipe)
        self.epochs = sum(p["epochs"] for p in self.phases)
        self._odd: set[Any] = set()  # what the network logs and is no number
        self._last_save = self._last_emit = time.perf_counter()

    def run(self) -> Progress:
        """Train to the end; :meth:`take` then puts selected weights into the model.

        Raises:
            RunError: the loss stopped being finite, or the training split is empty.
            Interrupted: asked to stop; *folder* holds the state.
        """
        if not len(self.train):
            raise RunError("The training split is empty.", "train")
        saved = self._load()
        if saved is None and not self.ranks.first:
            torch.manual_seed(torch.initial_seed() + (self.ranks.number << 40))  # each its own noise
        first = 0
        for recipe in self.phases:
            if self.progress.epoch < first + recipe["epochs"] and not self.progress.stopped:
                self._run_phase(recipe, first, saved)
                saved = None
            first += recipe["epochs"]
        self._keep_last()
        return self.progress

    def _run_phase(self, recipe: dict[str, Any], first: int, saved: dict[str, Any] | None) -> None:
        freeze(self.model, recipe["train_only"])
        raw = make_optimizer(self.model, recipe)
        schedule = Schedule(raw, recipe, recipe["epochs"], len(self.train))
        model, optimizer = set_up(self.fabric, self.model, raw)
        if saved is not None:
            optimizer.load_state_dict(saved["optimizer"])
            schedule.load_state_dict(saved["schedule"])
            if self.scaling is not None and saved.get("scaling"):
                self.scaling.load_state_dict(saved["scaling"])
            self._take_random(saved)
        while self.progress.epoch < first + recipe["epochs"] and not self.progress.stopped:
            self._run_epoch(model, optimizer, schedule, recipe)
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)

    def _run_epoch(self, model: Any, optimizer: Any, schedule: Schedule, recipe: dict[str, Any]) -> None:
        p, device = self.progress, self.train.device
        set_training_mode(self.model)
        self.gradients.epoch_begins(p.epoch + 1)
        total = torch.tensor(p.loss_sum, dtype=torch.float64, device=device)
        begin = mark = time.perf_counter()
        seconds, first_step = p.seconds, p.step
        clip = recipe["clip_grad"]
        batches = timed(self.train.training_epoch(p.epoch, p.step))
        for waited, batch in batches:
            loss = self.gradients(model, batch)
            if clip:
                # Gradients of fp16 may overflow: the step is then left out, once its scaling sees them.
                self.fabric.clip_gradients(model, optimizer, max_norm=clip, error_if_nonfinite=False)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            if self.ema is not None:
                self.ema.update_parameters(self.model)
            total += loss
            p.step += 1
            p.steps += 1
            p.samples += len(batch)
            p.data_seconds += waited
            now = time.perf_counter()
            p.seconds = seconds + now - begin
            if self._is_due(now - mark):
                mark = now
                self._show(float(total), now - begin, p.step - first_step)
                if self.ranks.any(self.interrupted()):
                    p.loss_sum = float(total)
                    self._save(optimizer, schedule)
                    raise Interrupted
        mean = float(total) / len(self.train)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        p.seconds = seconds + time.perf_counter() - begin
        self._finish_epoch(mean, schedule, p.seconds - seconds, optimizer)

    def _is_due(self, elapsed: float) -> bool:
        """Whether to show progress and to look at signals; several ranks ask each other now and then only."""
        if self.ranks.world > 1 and self.progress.step % AGREE_STEPS:
            return False
        return self.ranks.broadcast_bool(elapsed > PROGRESS_SECONDS)

    def _finish_epoch(self, mean: float, schedule: Schedule, seconds: float, optimizer: Any) -> None:
        p = self.progress
        self._require_finite(mean)
        p.epoch, p.step, p.loss_sum = p.epoch + 1, 0, 0.0
        logs: dict[str, Any] = {"epoch": p.epoch, "train_loss": mean, "lr": schedule.lr, "seconds": seconds}
        logs |= self.task.logs()
        if self.val is not None and p.epoch >= self.recipe.get("validate_from", 1):
            logs |= self._validate()
        logs |= self._of_network()
        p.curve.append(logs)
        schedule.epoch_end(logs.get("val_loss", mean))
        self._select(logs)
        limit = self.recipe["seconds"]
        p.stopped = p.stopped or (limit is not None and self.ranks.broadcast_bool(p.seconds >= limit))
        self.on_epoch(p.epoch, logs)
        self.emit({"type": "epoch", "epoch": p.epoch, "epochs": self.epochs, "logs": logs})
        stop = self.ranks.any(self.interrupted())
        if stop or self.ranks.broadcast_bool(time.perf_counter() - self._last_save > RESUME_SECONDS):
            self._save(optimizer, schedule)
        if stop:
            raise Interrupted

    def _of_network(self) -> dict[str, float | None]:
        """What the network logs besides; what is no finite number is null, as JSON has none, and warned of."""
        if not callable(getattr(self.model, "log_values", None)):
            return {}
        logs: dict[str, float | None] = {}
        for name, value in self.model.log_values().items():  # type: ignore[operator]
            logs[str(name)] = finite_or_none(value)
            if logs[str(name)] is None and name not in self._odd:
                self._odd.add(name)
                text = f"'{name}' of the network's log_values is no finite number"
                self.emit({"type": "warning", "text": text})
        return logs

    def _validate(self) -> dict[str, float]:
        assert self.val is not None
        with self.gradients.eager():
            return self.task.validate(self.evaluated, self.val, self.fabric)

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are judged: the moving average where the recipe has one."""
        return self.model if self.ema is None else self.ema.module

    def _select(self, logs: dict[str, Any]) -> None:
        """Let the records choose, and see whether the patience of all of them has run out."""
        p, patience = self.progress, self.recipe["patience"]
        for selection in self.selections:
            selection.update(logs, p.epoch, p.seconds, self.evaluated)
        if patience is not None and all(s.stale >= patience for s in self.selections):
            p.stopped = True

    def _keep_last(self) -> None:
        """Keep the last weights for whom they are meant, where the network may hold others by then."""
        for selection in self.selections:
            if selection.weights is None and (self.ema is not None or len(self.selections) > 1):
                selection.keep(self.evaluated)

    def take(self, selection: Selection) -> None:
        """Put the weights that were selected into the network."""
        selection.take(self.model)

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            p = self.progress
            raise RunError(
                f"The loss became {loss} in epoch {p.epoch + 1}: lower the learning rate (--set lr=...) or clip "
                "gradients (--set clip_grad=1).",
                "train",
            )

    def _show(self, total: float, elapsed: float, steps: int) -> None:
        """Send one progress event; ``steps`` were done in ``elapsed`` seconds of this process."""
        p = self.progress
        mean = total / max(p.step, 1)
        self._require_finite(mean)
        rate = steps / max(elapsed, 1e-9)
        left = (self.epochs - p.epoch) * len(self.train) - p.step
        self.emit(
            {
                "type": "progress",
                "epoch": p.epoch + 1,
                "epochs": self.epochs,
                "step": p.step,
                "steps": len(self.train),
                "loss": mean,
                "images_per_s": rate * self.train.batch_samples,
                "eta_s": left / max(rate, 1e-9),
            }
        )

    def _save(self, optimizer: Any, schedule: Schedule) -> None:
        state = {
            "identity": self.identity,
            "progress": copy.deepcopy(vars(self.progress)),
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "selections": [s.state_dict() for s in self.selections],
            "gradients": self.gradients.state_dict(),
            "task": self.task.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "scaling": self.scaling and self.scaling.state_dict(),
            "random": random_state(),
            "threads": torch.get_num_threads(),
        }
        if self.ranks.world > 1:
            state["random_of_ranks"] = self.ranks.all_gather_object(state["random"])
        if self.ranks.first:
            try:
                resume.save(state, self.folder)
            except OSError as error:
                self._warn(f"The state to resume from cannot be written: {error}.")
        self._last_save = time.perf_counter()

    def _load(self) -> dict[str, Any] | None:
        """Take up the saved state of the same run, if there is one."""
        state = resume.load(self.folder, self._warn) if self.ranks.first else None
        if self.ranks.broadcast_object(state is not None) and not self.ranks.first:
            state = resume.load(self.folder)  # what the first has left there
        if state is None or state.get("identity") != self.identity:
            return None
        self.progress = Progress(**state["progress"])
        self.emit({"type": "resumed", "epoch": self.progress.epoch, "step": self.progress.step})
        self.model.load_state_dict(state["model"])
        if self.ema is not None and state["ema"] is not None:
            self.ema.load_state_dict(state["ema"])
        self.gradients.load_state_dict(state.get("gradients", {}))
        self.task.load_state_dict(state.get("task", {}))
        for selection, kept in zip(self.selections, state["selections"], strict=True):
            selection.load_state_dict(kept, self.train.device)
        if self.progress.step == 0 and self.progress.epoch in self._boundaries():
            self._take_random(state)
            return None
        return state

    def _take_random(self, state: Mapping[str, Any]) -> None:
        """Go on with the random numbers of this rank; where there were fewer ranks, with others than theirs."""
        kept = state.get("random_of_ranks", [state["random"]])
        set_random_state(kept[self.ranks.number % len(kept)])
        if self.ranks.number >= len(kept):
            torch.manual_seed(torch.initial_seed() + (self.ranks.number << 40) + self.progress.steps)

    def _warn(self, text: str) -> None:
        self.emit({"type": "warning", "text": text})

    def _boundaries(self) -> set[int]:
        """Epochs at which a new phase begins with a new optimizer."""
        ends, total = set(), 0
        for phase in self.phases:
            total += phase["epochs"]
            ends.add(total)
        return ends


def timed(iterator: Iterator[Any]) -> Iterator[tuple[float, Any]]:
    """Yield (seconds spent waiting, item)."""
    while True:
        begin = time.perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        yield time.perf_counter() - begin, item
