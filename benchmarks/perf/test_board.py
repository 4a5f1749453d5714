"""A leaderboard of thousands of records of real size: seconds, memory, and growth with their number."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import boards
import pytest

from rsbench.records import BOARD_CACHE
from rsbench.states import SETTLED_NS

pytestmark = pytest.mark.timeout(3600)  # thousands of records are written first
SIZES = (1_000, 2_500, 10_000)
# Run as a user would, in a process of its own; the last line holds its peak memory in KiB.
SCRIPT = """
import resource, sys
from rsbench.cli.app import build
build("leaderboard")(["leaderboard", sys.argv[1], "--format", "csv", "--output", sys.argv[2]], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("boards")
    for size in SIZES:
        boards.write(root / str(size), size)
    return {size: root / str(size) for size in SIZES}


def measure(folder: Path, csv: Path) -> tuple[float, float]:
    """Return seconds and peak memory in MiB of one board."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder), str(csv)], capture_output=True, check=True)
    return time.perf_counter() - begin, int(done.stdout.split()[-1]) / 1024


def anew(folder: Path, csv: Path) -> tuple[float, float]:
    """As :func:`measure`, of a board for which nothing was read before."""
    shutil.rmtree(folder / BOARD_CACHE, ignore_errors=True)
    return measure(folder, csv)


def test_growth(benchmark, folders: dict[int, Path], tmp_path: Path) -> None:
    found = {size: [anew(folder, tmp_path / f"{size}.csv") for _ in range(2)] for size, folder in folders.items()}
    seconds = {size: min(s for s, _ in rounds) for size, rounds in found.items()}
    memory = {size: max(m for _, m in rounds) for size, rounds in found.items()}
    assert len((tmp_path / "10000.csv").read_text().splitlines()) == 1 + 10_000 // boards.SEEDS
    benchmark.extra_info.update({f"records_{size}_s": seconds[size] for size in SIZES})
    benchmark.extra_info.update({f"records_{size}_mebibytes": memory[size] for size in SIZES})
    benchmark.pedantic(anew, args=(folders[SIZES[0]], tmp_path / "again.csv"), rounds=1)
    assert memory[10_000] < 1024
    small, middle, large = (seconds[size] for size in SIZES)
    assert (large - middle) / 7_500 <= 1.5 * (middle - small) / 1_500  # seconds a record do not grow


def test_again(benchmark, folders: dict[int, Path], tmp_path: Path) -> None:
    """A board after one record was added takes a small part of the CPU time of the first, which read them all."""
    size = SIZES[-1]
    folder, last = folders[size], tmp_path / "last"
    (folder / "00000-0").rename(last)
    time.sleep(SETTLED_NS / 1e9)
    shutil.rmtree(folder / BOARD_CACHE, ignore_errors=True)
    first = cpu_seconds(folder, tmp_path / "first.csv")
    last.rename(folder / "00000-0")
    again = cpu_seconds(folder, tmp_path / "again.csv")
    assert len((tmp_path / "again.csv").read_text().splitlines()) == 1 + size // boards.SEEDS
    benchmark.extra_info.update(ours=again, peer=first, unit="s", ratio=again / first)
    benchmark.pedantic(measure, args=(folder, tmp_path / "again.csv"), rounds=1)
    assert again < first / 4


def cpu_seconds(folder: Path, csv: Path) -> float:
    """Return the CPU seconds of one board, in all of its processes."""
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    measure(folder, csv)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
