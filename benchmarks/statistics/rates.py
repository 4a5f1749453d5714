"""How often boards call equal systems unequal, see a real difference, and hold the truth: by simulation, end to end.

Each board has six systems of some seeds, whose predictions are written as records, loaded and ranked as a user's are:

    python benchmarks/statistics/rates.py --boards 1000 --seeds 3 --deviation 0.006

Samples and seeds are drawn anew for each board.  A sample is right where a margin lies below a threshold; the margin is
a difficulty that all systems share (variance .7), a system's own part (.1) and a seed's own part (.2); the threshold
makes the seed's true accuracy that of the system plus the deviation times z.  Prints one JSON line:

- pairs: percent of pairs of equal systems with p < .05, before Holm's correction;
- boards: percent of boards on which some equal systems have different ranks;
- power: percent of pairs with p < .05 of a system with one that is a point worse;
- coverage: percent of intervals that hold the system's true accuracy.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
from collections.abc import Iterator
from itertools import combinations
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.board import build
from rsbench.leaderboard.rank import interval
from rsbench.metrics.two_level import difference
from rsbench.records import store
from rsbench.tasks.classification import Predictions, breakdown
from rsbench.tasks.task import Outcome, get_task

SYSTEMS = 6
ACCURACY, POINT, CLASSES = 0.83, 0.01, 10
TEMPLATE = json.loads((Path(__file__).parents[2] / "tests" / "data" / "record-1.json").read_text())
TEMPLATE["train"]["curve"] = []
MEMORY = Path("/dev/shm")


def simulate(rng: np.random.Generator, accuracies: list[float], seeds: int, deviation: float, n: int) -> Iterator[list]:
    """Yield, for each system, whether each sample is right, bool [n], for each seed."""
    hard = np.sqrt(0.7) * rng.normal(size=n)
    for accuracy in accuracies:
        own = hard + np.sqrt(0.1) * rng.normal(size=n)
        thresholds = ndtri(accuracy + deviation * rng.normal(size=seeds))
        yield [own + np.sqrt(0.2) * rng.normal(size=n) < t for t in thresholds]


def write(folder: Path, system: str, seed: int, right: np.ndarray) -> None:
    """Write a record whose predictions are right where *right* says, bool [n]."""
    place = folder / f"{system}-{seed}"
    place.mkdir(parents=True)
    truth = np.arange(len(right)) % CLASSES
    made = Predictions([f"{i:05d}" for i in range(len(right))], np.where(right, truth, (truth + 1) % CLASSES))
    path = place / "predictions.parquet"
    get_task("classification").write(path, Outcome(made, truth))
    record = copy.deepcopy(TEMPLATE)
    entry = record["metrics"]["overall_accuracy"] | {"value": float(right.mean()), "ci95": None, "n": len(right)}
    record["plan"]["model"] |= {"name": system, "label": system}
    record["plan"] |= {"seed": seed, "run_id": place.name}
    record |= {
        "run_id": place.name,
        "metrics": {"overall_accuracy": entry},
        "by_group": breakdown(made, truth, record["plan"]["dataset"]["classes"]),
        "checks": [],
        "artifacts": {
            "predictions": {"path": path.name, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}
        },
    }
    store.save(record, place)


def _not_kept(descriptor: int) -> None:
    """In place of ``os.fsync``: these records need not outlive the machine."""


def board(number: int, seeds: int, deviation: float, n: int) -> dict[str, list[bool]]:
    """Return what happened on one board: five systems are equal, and the last is equal too or a point worse."""
    os.fsync = _not_kept
    found: dict[str, list[bool]] = {"pairs": [], "boards": [], "power": [], "coverage": []}
    for worse in (0.0, POINT):
        rng = np.random.default_rng([number, seeds, round(1e4 * deviation), round(1e4 * worse)])
        accuracies = [ACCURACY] * (SYSTEMS - 1) + [ACCURACY - worse]
        with tempfile.TemporaryDirectory(prefix="rsbench-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
            for k, runs in enumerate(simulate(rng, accuracies, seeds, deviation, n)):
                for seed, right in enumerate(runs):
                    write(Path(folder), f"net-{k}", seed, right)
            (table,) = build(store.load_all([Path(folder)])).tables
        truth = {f"net-{k}": accuracy for k, accuracy in enumerate(accuracies)}
        _count(found, table, truth)
    return found


def _count(found: dict[str, list[bool]], table: Table, truth: dict[str, float]) -> None:
    assert not any(row.flags for row in table.rows), [row.flags for row in table.rows]
    for a, b in combinations(table.rows, 2):
        equal = truth[a.system] == truth[b.system]
        found["pairs" if equal else "power"].append(_p(a, b, table) < 0.05)
    if len(set(truth.values())) == 1:
        found["boards"].append(len({row.rank for row in table.rows}) > 1)
    for row in table.rows:
        assert row.measured is not None
        low, high = row.interval or interval(row.measured.system, table.pool, table.spec) or (0.0, 0.0)
        found["coverage"].append(low <= truth[row.system] <= high)


def _p(a: Row, b: Row, table: Table) -> float:
    assert a.measured is not None
    assert b.measured is not None
    result = difference(a.measured.system, b.measured.system, table.pool)
    assert result is not None
    return float(result.p)


def rates(boards: int, seeds: int, deviation: float, n: int, processes: int = 1) -> dict[str, float]:
    """Return the percentages over so many boards."""
    jobs = [(number, seeds, deviation, n) for number in range(boards)]
    if processes > 1:
        with Pool(processes) as workers:
            made = workers.starmap(board, jobs, chunksize=5)
    else:
        made = [board(*job) for job in jobs]
    return {key: round(100 * float(np.mean([v for one in made for v in one[key]])), 2) for key in made[0]}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--deviation", type=float, nargs="+", default=[0.0, 0.003, 0.006])
    parser.add_argument("--samples", type=int, default=5400)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    for seeds in given.seeds:
        for deviation in given.deviation:
            found = rates(given.boards, seeds, deviation, given.samples, given.processes)
            print(
                json.dumps({"seeds": seeds, "deviation": deviation, "boards_drawn": given.boards} | found), flush=True
            )


if __name__ == "__main__":
    main()
