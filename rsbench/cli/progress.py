"""Live progress of runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rsbench.family import families
from rsbench.metrics.display import with_interval
from rsbench.records.curve import told

if TYPE_CHECKING:
    from rsbench.plan import RunPlan

OnEvent = Callable[[dict[str, Any]], None]


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
    when = "as before" if event["status"] == "cached" else f"in {event['seconds']:.0f} s"
    return f"{with_interval(primary)} {when}"


class _Places:
    """Says which of the runs an event is about: one, or the runs of a family, that are trained together."""

    def __init__(self, plans: Sequence[RunPlan]) -> None:
        self.total = len(plans)
        self.number = {p.run_id: i for i, p in enumerate(plans, start=1)}
        self.families = {group[0].run_id: group for group in families(plans) if len(group) > 1}

    def of(self, event: dict[str, Any]) -> str:
        """Return number and name."""
        run_id = event["run_id"]
        number = self.number[run_id]
        group = self.families.get(run_id)
        if group is None or event["type"] == "done":
            return f"[{number}/{self.total}] {run_id}"
        assert group[0].family is not None
        return f"[{number}-{number + len(group) - 1}/{self.total}] {group[0].family['id']}"


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
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    places = _Places(plans)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        rows: dict[str, TaskID] = {}  # of the runs that are under way
        idle = progress.add_task("", total=1.0, state="starting")

        def row(event: dict[str, Any], label: str) -> TaskID:
            progress.update(idle, visible=False)
            if event["run_id"] not in rows:
                rows[event["run_id"]] = progress.add_task(label, total=1.0, state="")
            return rows[event["run_id"]]

        def on_event(event: dict[str, Any]) -> None:
            label = places.of(event).replace("[", "\\[")
            if event["type"] == "stage":
                progress.update(row(event, label), state=event["stage"])
            elif event["type"] == "progress":
                done = (event["epoch"] - 1 + event["step"] / event["steps"]) / event["epochs"]
                progress.update(row(event, label), completed=done, state=_state(event))
            elif event["type"] == "done":
                progress.console.print(f"{label} {summary(event)}", highlight=False, soft_wrap=True)
                if event["run_id"] in rows:
                    progress.remove_task(rows.pop(event["run_id"]))
            elif event["type"] == "warning":
                progress.console.print(f"{label} warning: {event['text']}", highlight=False)

        yield on_event


def _state(event: dict[str, Any]) -> str:
    minutes, seconds = divmod(int(event["eta_s"]), 60)
    return (
        f"epoch {event['epoch']}/{event['epochs']}  loss {event['loss']:.4f}  {event['images_per_s']:.0f} img/s  "
        f"{minutes}:{seconds:02d} left"
    )
