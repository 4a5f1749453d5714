"""Any metric of all systems under one protocol, on demand: a difference of two rests on how much seeds do in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.errors import UserError
from rsbench.leaderboard.rank import common_pool, interval
from rsbench.leaderboard.rows import Measured, measure, metric_of, rows_of, summed
from rsbench.metrics.two_level import Pool, Result, difference, over_samples
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry
from rsbench.tasks.task import get_task, metric_context

Runs = Sequence[LoadedRecord]


class Measures:
    """What configurations under one protocol measure, and how much seeds do among them.

    What has been read is kept: whoever asks for more configurations of a metric has to ask for them at first.

    Args:
        groups: the runs of each configuration, of which only those that are asked for and those with several seeds are
            read.
        baselines: whether each is a baseline, which says nothing of how much seeds do.
    """

    def __init__(self, groups: Sequence[Runs], baselines: Sequence[bool]) -> None:
        self.groups, self.baselines = groups, baselines
        self._found: dict[tuple[str, str], dict[int, Measured]] = {}

    def read(self, names: Sequence[str], asked: Sequence[int] = ()) -> None:
        """Read metrics of the configurations with these numbers, and of those that the pool rests on."""
        left = [name for name in names if (name, "") not in self._found]
        self._found |= {(name, ""): {} for name in left}
        for i in self._needed(asked) if left else ():
            for name, one in measure(self.groups[i], left, []).items():
                self._found[name, ""][i] = one

    def read_parts(self, asked: Sequence[int]) -> tuple[str, dict[str, np.ndarray]]:
        """Read the accuracy of each class or type of question; return its name, and part -> samples in it, bool [N] in
        the order of the ids; none where the task has no such parts, or the first that is asked for no predictions."""
        first = self.groups[asked[0]][0]
        plan = first.record["plan"]
        kept, path = get_task(plan["task"]).parts, first.artifact("predictions")
        if kept is None or path is None:
            return "", {}
        name, metric, parts = kept.overall, metric_of(kept.overall, plan), _parts(plan, path)
        if any((name, part) not in self._found for part in parts):
            self._found |= {(name, part): {} for part in parts}
            for i in self._needed(asked):
                runs = [run[name] for run in rows_of(self.groups[i], [name], []) if name in run]
                for part, inside in parts.items():
                    fits = runs and all(len(run.rows) == len(inside) for run in runs)
                    one = summed(metric, [run.part(inside) for run in runs]) if fits else None
                    if one is not None:
                        self._found[name, part][i] = one
        return name, parts

    def of(self, i: int, name: str, part: str = "") -> Measured | None:
        """Return what a configuration measured, which has been read; ``None`` where its predictions do not say."""
        return self._found[name, part].get(i)

    def pool(self, samples: bytes, name: str, part: str = "") -> Pool:
        """Return how much seeds do on these samples."""
        found = self._found[name, part]
        return common_pool(samples, ((found.get(i), baseline) for i, baseline in enumerate(self.baselines)))

    def interval(self, i: int, name: str, part: str = "") -> tuple[float, float] | None:
        """Return the 95 % interval of a configuration's mean over samples and seeds, where that is known."""
        one = self.of(i, name, part)
        if one is None:
            return None
        return interval(one.system, self.pool(one.samples, name, part), registry().get("metric", name))

    def mean(self, i: int, name: str, part: str = "") -> float:
        """Return the mean over seeds of a configuration.

        Raises:
            UserError: it has no predictions available.
        """
        return self._known(i, name, part).system.mean

    def difference(self, i: int, j: int, name: str, part: str = "") -> tuple[Result, bool]:
        """Return what sets two configurations apart, and whether over seeds too: a single one may have nothing to
        borrow from, and then the difference is over samples alone.

        Args:
            i, j: numbers of the configurations.
            name: of the metric.
            part: of it, such as a class; empty for the whole.

        Raises:
            UserError: one has no predictions available, or they were tested on different samples.
        """
        a, b = (self._known(k, name, part) for k in (i, j))
        if a.samples != b.samples:
            raise UserError("The two sides were tested on different samples.")
        found = difference(a.system, b.system, self.pool(a.samples, name, part))
        return (found, True) if found else (over_samples(a.system, b.system), False)

    def _known(self, i: int, name: str, part: str) -> Measured:
        found = self.of(i, name, part)
        if found is None:
            raise UserError(
                f"The predictions of {self.groups[i][0].record['run_id']} are not available, or give no {name}."
            )
        return found

    def _needed(self, asked: Sequence[int]) -> list[int]:
        pooled = (i for i, group in enumerate(self.groups) if len(group) > 1 and not self.baselines[i])
        return sorted({*asked, *pooled})


def _parts(plan: Mapping[str, Any], path: Path) -> dict[str, np.ndarray]:
    """The samples of each class or type of question that occurs, in the order of the ids."""
    kind = get_task(plan["task"])
    outcome = kind.read(path)
    found = kind.grouped(outcome, metric_context(plan))
    if found is None:
        return {}
    names, number = found
    order = np.argsort(np.array(outcome.predictions.ids))
    return {name: inside for k, name in enumerate(names) if (inside := number[order] == k).any()}
