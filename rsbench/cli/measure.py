"""What ``--dry-run --measure`` does: starts a run of each configuration, times some steps, and ends it."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

from rsbench.errors import UserError
from rsbench.metrics.display import duration

if TYPE_CHECKING:
    from rsbench.plan import RunPlan

TIMED_S: Final = 8.0  # of steps, after those that warm up
FORWARD: Final = 1 / 3  # of the work of a training step, for a batch that is only predicted


class _Enough(Exception):
    """What is to be known has been measured."""


class Stopwatch:
    """Follows the events of a run until its cost is known.

    Args:
        sizes: samples of each split.
        limit: seconds after which training ends, if there is a limit.
        now: the clock.
    """

    def __init__(
        self, sizes: Mapping[str, int], limit: float | None = None, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.limit, self.now, self.begin = limit, now, now()
        self.validation, self.test = (FORWARD * sizes[part] / max(sizes["train"], 1) for part in ("val", "test"))
        self.start_s: float | None = None  # until training begins
        self.first: tuple[float, int] | None = None  # a moment, and the steps done by then
        self.epoch_end: float | None = None
        self.said = ""

    def event(self, event: dict[str, Any]) -> None:
        """Take one event.

        Raises:
            _Enough: :attr:`said` says what the run costs.
        """
        now, kind = self.now(), event["type"]
        if kind == "stage" and event["stage"] == "train":
            self.start_s = now - self.begin
        elif kind == "progress" and self.epoch_end is None:
            self._progress(now, event)
        elif kind == "epoch":
            self._epoch(now, event)

    def _progress(self, now: float, event: dict[str, Any]) -> None:
        if self.first is None or event["step"] < self.first[1]:
            self.first = now, event["step"]
        elif now - self.first[0] >= TIMED_S:
            steps, seconds = event["step"] - self.first[1], now - self.first[0]
            epoch = seconds / steps * event["steps"]
            training = event["epochs"] * epoch * (1 + self.validation)
            self._say(training, epoch * self.test, f"{steps} steps of {duration(seconds / steps)}")

    def _epoch(self, now: float, event: dict[str, Any]) -> None:
        """An epoch, validation included; the first also warms up, and counts only where it is the last."""
        if self.epoch_end is not None or event["epoch"] == event["epochs"]:
            epoch = now - (self.epoch_end or self.begin + (self.start_s or 0.0))
            self._say(event["epochs"] * epoch, epoch * self.test, f"an epoch of {duration(epoch)}")
        self.epoch_end = now

    def _say(self, training: float, test: float, by: str) -> None:
        whole = (self.start_s or 0.0) + (training if self.limit is None else min(training, self.limit)) + test
        self.said = f"about {duration(whole)} a run, {duration(self.start_s)} of it to start, by {by}"
        raise _Enough


def measure(plans: Sequence[RunPlan]) -> None:
    """Print what a run of each configuration of *plans* costs on this machine as it is now; nothing is kept.

    Baselines and probes, which are not trained by steps, and checkpoints, which are not trained, are left out.
    """
    from rsbench.cli.dry_run import configuration

    seen: set[str] = set()
    for plan in plans:
        key = configuration(plan.to_dict())
        by_steps = plan.model["kind"] == "network" and plan.checkpoint is None and not plan.recipe.get("fit")
        if key in seen or not by_steps:
            continue
        seen.add(key)
        title = f"{plan.model['label']} on {plan.dataset['name']}, {plan.recipe['name']}"
        typer.echo(f"  measured  {title}: {_measured(plan)}")


def _measured(plan: RunPlan) -> str:
    from rsbench import api

    watch = Stopwatch(plan.protocol["split_sizes"], plan.recipe["seconds"])
    with tempfile.TemporaryDirectory(prefix="rsbench-measure-") as folder:
        try:
            (outcome,) = api.execute([dataclasses.replace(plan, out=folder)], on_event=watch.event)
        except _Enough:
            return watch.said
    if outcome.status == "interrupted":
        raise UserError("Interrupted.")
    return f"it {outcome.status} before anything could be timed: {outcome.error}"
