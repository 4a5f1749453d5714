"""Live progress of runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rsbench.metrics.display import with_interval
from rsbench.plan import RunPlan, groups
from rsbench.records.curve import score_told, told

OnEvent = Callable[[dict[str, Any]], None]
BAR: Final = 16  # letters
LONGEST: Final = 26  # letters of a run's name
LABEL: Final = LONGEST + len("10/12 ") + 3  # and what stands beside it
LEAST_DONE: Final = 0.1  # of a run, before the time left is told


@contextmanager
def reporter(plans: Sequence[RunPlan], quiet: bool) -> Iterator[OnEvent]:
    """Yield the receiver of the workers' events."""
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _bars(plans) as on_event:
            yield on_event
    else:
        yield _Lines(plans)


def summary(event: dict[str, Any]) -> str:
    """One line about a finished run."""
    if event["status"] == "failed":
        return f"failed: {event['error']}"
    if event["status"] == "interrupted":
        return "interrupted"
    primary = event["primary"]
    if primary is None or primary["value"] is None:
        return event["status"]
    when = "(done before)" if event["status"] == "cached" else f"in {event['seconds']:.0f} s"
    return f"{with_interval(primary)} {when}"


class _Places:
    """Says which of the runs an event is about: one, or a group of runs that share a process."""

    def __init__(self, plans: Sequence[RunPlan]) -> None:
        self.total = len(plans)
        self.number = {p.run_id: i for i, p in enumerate(plans, start=1)}
        self.groups = {group[0].run_id: group for group in groups(plans) if len(group) > 1}

    def of(self, event: dict[str, Any]) -> str:
        """Return number and name."""
        run_id = event["run_id"]
        number = self.number[run_id]
        group = self.groups.get(run_id)
        if group is None or event["type"] == "done":
            return f"[{number}/{self.total}] {run_id}"
        assert group[0].group is not None
        return f"[{number}-{number + len(group) - 1}/{self.total}] {group[0].group['id']}"


class _Lines:
    """One line an epoch and one a run."""

    def __init__(self, plans: Sequence[RunPlan]) -> None:
        self.places = _Places(plans)

    def __call__(self, event: dict[str, Any]) -> None:
        place = self.places.of(event)
        if event["type"] == "epoch":
            print(
                f"{place} epoch {event['epoch']}/{event['epochs']} {told(event['logs'])}", file=sys.stderr, flush=True
            )
        elif event["type"] == "done":
            print(f"{place} {summary(event)}", file=sys.stderr, flush=True)
        elif event["type"] == "warning":
            print(f"{place} warning: {event['text']}", file=sys.stderr, flush=True)


@contextmanager
def _bars(plans: Sequence[RunPlan]) -> Iterator[OnEvent]:
    """A bar for each run under way, and below them one for all; what is finished stands above."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    places, names, clock = _Places(plans), short_names(plans), _Clock(len(plans))
    columns = (TextColumn("{task.description}"), BarColumn(BAR), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=False) as progress:
        rows: dict[str, TaskID] = {}  # of the runs that are under way
        scores: dict[str, str] = {}  # on validation, of the last epoch
        every = progress.add_task("all runs" if len(plans) > 1 else "", total=float(len(plans)), state="starting")

        def label(run_id: str) -> str:
            return f"{places.number[run_id]}/{len(plans)} {names[run_id]}" if len(plans) > 1 else names[run_id]

        def row(event: dict[str, Any]) -> TaskID:
            run_id = event["run_id"]
            if run_id not in rows:
                rows[run_id] = progress.add_task(_plain(label(run_id)), total=1.0, state="")
                progress.update(every, visible=len(plans) > 1, state="")
            return rows[run_id]

        def on_event(event: dict[str, Any]) -> None:
            run_id = event["run_id"]
            if event["type"] == "stage":
                progress.update(row(event), state=event["stage"])
            elif event["type"] == "epoch":
                scores[run_id] = score_told(event["logs"])
            elif event["type"] == "progress":
                done = (event["epoch"] - 1 + event["step"] / event["steps"]) / event["epochs"]
                number = row(event)
                room = progress.console.width - BAR - LABEL
                progress.update(number, completed=done, state=state(event, scores.get(run_id, ""), room))
                progress.update(every, completed=clock.progress(run_id, done), state=clock.left())
            elif event["type"] == "done":
                progress.console.print(_plain(f"{label(run_id)}: {summary(event)}"), highlight=False)
                if run_id in rows:
                    progress.remove_task(rows.pop(run_id))
                progress.update(every, completed=clock.progress(run_id, 1.0), state=clock.left())
            elif event["type"] == "warning":
                progress.console.print(_plain(f"{label(run_id)}: warning: {event['text']}"), highlight=False)

        yield on_event


def _plain(text: str) -> str:
    """Return a text of which rich takes nothing for a style."""
    return text.replace("[", "\\[")


def short_names(plans: Sequence[RunPlan]) -> dict[str, str]:
    """Return a short name for each run's id: its model and seed, and what else tells the runs apart."""
    parts = {
        plan.run_id: (plan.model["label"], plan.dataset["name"], plan.protocol["name"], plan.recipe.get("name", ""))
        for plan in plans
    }
    varying = [k for k in range(4) if k == 0 or len({found[k] for found in parts.values()}) > 1]
    names = {p.run_id: " ".join([*(parts[p.run_id][k] for k in varying), f"s{p.seed}"]) for p in plans}
    times = Counter(names.values())
    tails = {run_id: f" {run_id.rpartition('-')[2]}" if times[name] > 1 else "" for run_id, name in names.items()}
    return {run_id: _cut(name, LONGEST - len(tails[run_id])) + tails[run_id] for run_id, name in names.items()}


def _cut(text: str, length: int) -> str:
    """Return a text with its middle left out where it is longer."""
    head = length // 2
    return text if len(text) <= length else f"{text[:head]}..{text[len(text) - (length - head - 2) :]}"


def state(event: Mapping[str, Any], score: str, room: int) -> str:
    """Say where a run is, in at most *room* letters if it can be: time left last, speed and loss left out first."""
    parts = {
        "epoch": f"{event['epoch']}/{event['epochs']}",
        "loss": f"loss {event['loss']:.3f}",
        "score": score,
        "speed": f"{event['images_per_s']:.0f} img/s",
        "left": f"{duration(event['eta_s'])} left",
    }
    for dropped in ("speed", "loss", "score", ""):
        text = "  ".join(filter(None, parts.values()))
        if len(text) <= room:
            break
        parts[dropped] = ""
    return text


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _Clock:
    """The time left of all runs, from what has been done in the time so far.

    Args:
        runs: how many there are.
    """

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.begin = time.monotonic()
        self.done: dict[str, float] = {}

    def progress(self, run_id: str, done: float) -> float:
        """Note how much of a run is done, in [0, 1]; return how many runs that makes together."""
        self.done[run_id] = max(done, self.done.get(run_id, 0.0))
        return sum(self.done.values())

    def left(self) -> str:
        """Return the time left in words, once there is something to tell it from."""
        together = sum(self.done.values())
        spent = time.monotonic() - self.begin
        return f"about {duration(spent / together * (self.runs - together))} left" if together > LEAST_DONE else ""
