"""What a run goes on in, whatever it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rsbench.engine.distributed_world import Place
from rsbench.engine.observers import Observers
from rsbench.engine.report import Machine, Stages
from rsbench.engine.train import Emit


@dataclass(frozen=True)
class RunContext:
    """Where a run leaves its files, what it runs on, and whom it tells.

    Attributes:
        folder: of its record.
        stages: names and times its parts.
        emit: receives progress.
        interrupted: asked now and then; true ends the run, with a state to resume from.
        place: of this rank among those that share the run; ``None`` for a single process.
    """

    folder: Path
    machine: Machine
    stages: Stages
    emit: Emit
    interrupted: Callable[[], bool]
    observers: Observers
    place: Place | None = None
