"""Commands of rsbench under watch: what no command may do, whatever is done to it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

MARK: Final = "RSBENCH_RELIABILITY"  # an environment variable by which the processes of a command are known
LIMIT_SECONDS: Final = 30.0
LIMIT_BYTES: Final = 2 << 30  # of one process
LEAVE_SECONDS: Final = 30.0  # for what a command has started, after its own end


@dataclass
class Done:
    """A command that has ended: what it said, and what of it no command may do."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int
    faults: list[str]


def run(
    command: Sequence[str],
    environment: Mapping[str, str | None] | None = None,
    *,
    limit: float = LIMIT_SECONDS,
    folder: Path | None = None,
    before: Callable[[], object] = lambda: None,
    codes: Sequence[int] = (0, 1, 2),
) -> Done:
    """Run a command, and see whether it shows a traceback, hangs, takes too much memory or leaves processes.

    Time in which its processes could have gone on and had to wait for a core, on a busy machine, is not held against it.

    Args:
        command: arguments of rsbench, or a whole command that begins with a path.
        environment: variables to set, or to take away where None.
        limit: seconds after which it is said to hang, and ended.
        folder: where it runs.
        before: is called in the new process.
        codes: exit statuses that it may have.
    """
    mark, changed = uuid.uuid4().hex, environment or {}
    given = os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "160", MARK: mark}
    given = {k: v for k, v in (given | changed).items() if v is not None}
    words = command if command[0].startswith("/") else [sys.executable, "-m", "rsbench", *command]

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        before()

    begin, peak, faults = time.monotonic(), 0, list[str]()
    starved = Starved()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            words,
            env=given,
            cwd=folder or tempfile.gettempdir(),  # Python looks for modules where it is started
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=prepare,
        )
        while process.poll() is None:
            time.sleep(0.1)
            family = _family(process.pid)
            peak = max(peak, *map(_memory, family), 0)
            starved.look(family)
            if not faults and (time.monotonic() - begin - starved.seconds > limit or peak > LIMIT_BYTES):
                faults.append(f"took {peak >> 20} MiB" if peak > LIMIT_BYTES else f"hung for {limit:.0f} s")
                end(mark)
        seconds = time.monotonic() - begin
        said = [_text(stream) for stream in (out, err)]
    if any("Traceback (most recent call last)" in text for text in said):
        faults.append("traceback")
    if not faults and process.returncode not in codes:
        faults.append(f"exit status {process.returncode}")
    until = time.monotonic() + LEAVE_SECONDS
    while (left := [*marked(mark)]) and time.monotonic() < until:
        time.sleep(0.1)
    if left:
        faults.append(f"left {sorted({_name(one) for one in left})}")
        end(mark)
    return Done(process.returncode, *said, seconds, peak, faults)


class Starved:
    """Counts the seconds in which a process of a family waited for a core: of several the one that waited longest."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begin, self._waits = time.monotonic(), dict[int, float]()

    def look(self, family: Iterable[psutil.Process]) -> None:
        """Add what has come since the last look."""
        waits = {one.pid: _waited(one.pid) for one in family}
        longest = max((wait - self._waits.get(pid, 0.0) for pid, wait in waits.items()), default=0.0)
        self.seconds = min(self.seconds + longest, time.monotonic() - self._begin)  # a wait is counted at its end
        self._waits = waits


def _waited(pid: int) -> float:
    """Seconds in which a process could have run and did not, as Linux counts them; elsewhere none."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def marked(mark: str) -> Iterator[psutil.Process]:
    """Yield the processes of a command, whatever has become of their parents."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def end(mark: str) -> None:
    """Kill the processes of a command."""
    for process in marked(mark):
        with suppress(psutil.Error):
            process.kill()


def write_plugin(folder: Path, name: str, files: Mapping[str, str], distribution: str | None = None) -> None:
    """Write modules and, as a distribution that is installed, the plugin *name* in the module of that name.

    Args:
        folder: is to be in the path of Python.
        name: of the entry point and its module.
        files: module -> source.
        distribution: its name; that of the plugin where none is given.
    """
    distribution = distribution or name
    info = folder / f"{distribution.replace('-', '_')}-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    for module, source in files.items():
        (folder / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[rsbench]\n{name} = {name}\n")


def numbers(record: Path, without: str | None = None, weights: bool = True) -> str:
    """Return a digest of what a record and its files say that must not depend on what disturbed the run.

    Args:
        without: a metric, or a value of an epoch, that is left out.
        weights: look at them too, whose file names the run's id.
    """
    content = json.loads(record.read_text())
    metrics = {k: v for k, v in content["metrics"].items() if k != without}
    epochs = (content["train"] or {}).get("curve", ())
    curve = [{k: v for k, v in epoch.items() if k not in ("seconds", without)} for epoch in epochs]
    files = [
        hashlib.sha256(each.read_bytes()).hexdigest()
        for each in sorted(record.parent.glob("*.[ps]a*" if weights else "*.pa*"))
    ]
    facts = [content["status"], metrics, content["by_group"], curve, files]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def report(row: str, trials: Iterable[tuple[str, Sequence[str]]]) -> int:
    """Print a row of the table, and before it what does not survive as it comes; return the exit status.

    Args:
        trials: names and what was wrong.
    """
    tried = failed = 0
    for name, faults in trials:
        tried += 1
        if faults:
            failed += 1
            print(f"  FAILED {row}: {name}: {'; '.join(faults)}", flush=True)
    print(f"{row}: {tried} tried, {tried - failed} survived", flush=True)
    return 1 if failed else 0


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        used: int = process.memory_info().rss
        return used
    return 0


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())[-80:]
    return "?"


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
