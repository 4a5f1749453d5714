"""One measurement in a process of its own: ``python -m benchmarks.peers.measure JOB`` prints one line of JSON.

A peer is imported and its files are known before a clock starts, so imports cost nothing; making its datasets and
loaders belongs to reaching an accuracy, and not to data and epochs, whose first pass is left out as a warm-up.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

DATA_SECONDS: Final = 1.5
"""Passes over the data are repeated for as long as this."""


@dataclass(frozen=True)
class Job:
    """What is measured of whom.

    Attributes:
        measure: ``data | epoch | accuracy``.
        selection, data_root: folders of :class:`benchmarks.peers.dataset.Selection`.
        epochs: passes at most; the first of an ``epoch`` measure is not counted.
        target: validation accuracy to be reached.
    """

    measure: str
    peer: str
    selection: str
    data_root: str
    network: str = ""
    batch: int = 64
    workers: int = 0
    layout: str = "channels_last"
    precision: str = "fp32"
    epochs: int = 1
    target: float = 0.0
    seed: int = 0
    threads: int = 1

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Mark:
    """A moment, in seconds of the clock on the wall and of this process on a core."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Mark:
        """Read both."""
        return cls(time.perf_counter(), time.process_time())


def spans(marks: list[Mark]) -> tuple[list[float], list[float]]:
    """Return the seconds between moments, by both clocks; the second holds where other programs take the cores."""
    pairs = list(itertools.pairwise(marks))
    return [b.wall - a.wall for a, b in pairs], [b.cpu - a.cpu for a, b in pairs]


def run(job: Job) -> dict[str, Any]:
    """Measure, and say how much of a core the process had and how much memory it took at most."""
    import torch

    from benchmarks.peers.dataset import Selection
    from benchmarks.peers.peer import PEERS, Setting

    torch.set_num_threads(job.threads)
    peer = PEERS[job.peer].load()
    selection = Selection(Path(job.selection), Path(job.data_root))
    setting = Setting(selection, job.batch, job.workers, seed=job.seed, layout=job.layout, precision=job.precision)
    with clocks() as report:
        result = MEASURES[job.measure](lambda: peer(setting), job)
    return result | report


@contextmanager
def clocks() -> Iterator[dict[str, float]]:
    """Fill in, at the end, the share of a core that was had, and the peak memory of the largest process."""
    report: dict[str, float] = {}
    begin = Mark.now()
    yield report
    (wall,), (cpu,) = spans([begin, Mark.now()])
    report["cpu_over_wall"] = cpu / wall
    report["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    report["load"] = os.getloadavg()[0]


def data(make: Callable[[], Any], job: Job) -> dict[str, Any]:
    """Images per second of batches that are ready for a network, median over passes; workers have cores of their own."""
    peer = make()
    count = sum(len(images) for images in peer.batches())
    marks = [Mark.now()]
    while len(marks) == 1 or marks[-1].wall - marks[0].wall < DATA_SECONDS:
        assert sum(len(images) for images in peer.batches()) == count
        marks.append(Mark.now())
    wall, cpu = spans(marks)
    return {
        "value": count / statistics.median(wall),
        "cpu_value": None if job.workers else count / statistics.median(cpu),
        "passes": len(wall),
        "images": count,
    }


def epoch(make: Callable[[], Any], job: Job) -> dict[str, Any]:
    """Seconds of an epoch of training and validation, median without the first."""
    marks: list[Mark] = []
    accuracies: list[float] = []

    def mark(accuracy: float) -> bool:
        marks.append(Mark.now())
        accuracies.append(accuracy)
        return False

    make().fit(job.network, job.epochs, mark)
    wall, cpu = spans(marks)
    return {"value": statistics.median(wall), "cpu_value": statistics.median(cpu), "accuracies": accuracies}


def accuracy(make: Callable[[], Any], job: Job) -> dict[str, Any]:
    """Seconds until the validation accuracy is reached; ``None`` if it is not."""
    accuracies: list[float] = []
    marks = [Mark.now()]

    def look(found: float) -> bool:
        accuracies.append(found)
        if found >= job.target:
            marks.append(Mark.now())
        return len(marks) > 1

    make().fit(job.network, job.epochs, look)
    wall, cpu = spans(marks) if len(marks) > 1 else ([None], [None])
    return {"value": wall[0], "cpu_value": cpu[0], "epochs": len(accuracies), "accuracies": accuracies}


MEASURES: Final = {"data": data, "epoch": epoch, "accuracy": accuracy}

if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))))
