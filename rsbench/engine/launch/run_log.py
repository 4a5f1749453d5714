"""The log of a run, for people: a line each for its settings, stages, epochs, warnings and end, with the time in UTC.

It is the file to which the run's processes print, so what a plugin says stands between the lines.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from rsbench import __version__
from rsbench.engine.launch.run_result import Outcome, folder_of
from rsbench.engine.parallel import world
from rsbench.execution import OPTION_FIELDS
from rsbench.foreign import printable
from rsbench.metrics.display import with_interval
from rsbench.plan import RunPlan
from rsbench.records.curve import told
from rsbench.specs import RECIPE_DESCRIPTION

TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class RunLog:
    """Appends to the log of plans that are run together, which is that of the first.

    A line that cannot be written is left out: the run goes on, and its record will say what is wrong with the disk.
    """

    def __init__(self, plans: Sequence[RunPlan]) -> None:
        self.plans, self.path = plans, folder_of(plans[0]) / world.LOG

    def begin(self) -> None:
        """Write the settings."""
        self._add(f"rsbench {__version__} runs this in process {os.getpid()} on {platform.node()}")
        for plan in self.plans:
            for line in settings(plan):
                self._add(line)

    def event(self, event: Mapping[str, Any]) -> None:
        """Write what an event tells; progress within an epoch does not stand in a log."""
        if line := _line(event):
            self._add(line)

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Write what became of the plans."""
        for outcome in outcomes:
            self._add(f"{outcome.run_id} {_ending(outcome)}" if len(outcomes) > 1 else _ending(outcome))

    def _add(self, text: str) -> None:
        with suppress(OSError), self.path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"{datetime.now(UTC).strftime(TIME)} {printable(' '.join(text.split()))}\n")


def settings(plan: RunPlan) -> Iterator[str]:
    """Yield in a line each what was asked for."""
    model, protocol, sizes = plan.model, plan.protocol, plan.protocol.get("split_sizes") or {}
    yield f"run: {plan.run_id}, division {plan.division}, seed {plan.seed}"
    if plan.command:
        yield f"command: {plan.command}"
    yield f"model: {model['label']} ({model.get('distribution')} {model.get('distribution_version')})"
    counts = ", ".join(f"{count} {name}" for name, count in sizes.items())
    yield f"data: {plan.dataset['name']}, protocol {protocol['name']}" + (f": {counts}" if counts else "")
    yield f"recipe: {plan.recipe.get('name') or 'none'}: {_pairs(plan.recipe, RECIPE_DESCRIPTION)}"
    yield f"execution: {_pairs({f.name: getattr(plan, f.name) for f in OPTION_FIELDS}, ())}"


def _pairs(values: Mapping[str, Any], without: Sequence[str]) -> str:
    return ", ".join(f"{k}={v}" for k, v in values.items() if k not in without and v not in (None, "", {}, [], ()))


def _line(event: Mapping[str, Any]) -> str:
    kind = event["type"]
    if kind == "stage":
        return f"stage: {event['stage']}"
    if kind == "epoch":
        return f"epoch {event['epoch']}/{event['epochs']}: {told(event['logs'])}"
    if kind == "warning":
        return f"warning: {event['text']}"
    if kind == "resumed":
        return f"resumes from a saved state: {event['epoch']} epochs and {event['step']} steps are done"
    if kind == "rank":
        return f"rank {event['rank']} is process {event['pid']}"
    if kind == "point":
        return f"{event['mode']}, batch {event['batch']}: {event['samples_per_s']:.1f} {event['unit']}/s"
    return ""


def _ending(outcome: Outcome) -> str:
    if outcome.status == "interrupted":
        return "interrupted; the same command resumes"
    if outcome.status != "ok":
        return f"{outcome.status}: {outcome.error}"
    score = f": {with_interval(outcome.primary)}" if outcome.primary else ""
    return f"finished in {outcome.seconds or 0:.1f} s{score}"
