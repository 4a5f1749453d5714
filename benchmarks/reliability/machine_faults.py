"""A machine that does not do what is asked of it: full disks, folders that cannot be written to, limits, odd locales,
paths and streams, things in the way of results.

    python benchmarks/reliability/machine_faults.py [--only GROUP,GROUP]

Each command is to end in time with a sentence or as if nothing were wrong, to leave nothing half-written, and to come
to the same numbers once nothing is wrong any more.  Mounts small disks, for which it has to be root.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from commands import numbers, report, run
from kill_sweep import left_files
from plugin_faults import Runs

Trials = Iterator[tuple[str, list[str]]]
LONG: Final = 90.0  # seconds for a command that trains, beside others on the same cores


class Machine:
    """Data, an undisturbed run and what it left; every trial is a method's, which yields names and faults."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, Runs.make(folder)
        self.base = folder / "truth"
        done = run(self.fast(folder / "fast"), self.runs.environment, limit=LONG)
        self.truth = {p.parent.name: numbers(p) for f in ("truth", "fast") for p in (folder / f).glob("*/record.json")}
        self.id = next(p.parent.name for p in (folder / "fast").glob("*/record.json"))
        if done.code:
            raise SystemExit(done.err)

    def trained(self, out: Path) -> list[str]:
        """Return a command that trains."""
        return ["run", "tiny-cnn", "theirs", "--threads", "1", "--device", "cpu", "--quiet", "--out", str(out)]

    def fast(self, out: Path) -> list[str]:
        """Return a command that runs without training."""
        return ["run", "majority-class", "theirs", "--threads", "1", "--device", "cpu", "--quiet", "--out", str(out)]

    def check(self, command: list[str], out: Path | None = None, *, silent: bool = False, **how: Any) -> list[str]:
        """Return what is wrong with a command: see :func:`commands.run`, and it is to say why it fails.

        Args:
            out: folder in which nothing half-written may be left, and no record that says other than the truth.
            silent: nobody can be told.
            how: of :func:`commands.run`.
        """
        environment = {**self.runs.environment, **how.pop("environment", {})}
        done = run(command, environment, limit=how.pop("limit", LONG), **how)
        faults = list(done.faults)
        if done.code and not silent and "rsbench: " not in done.err + done.out:
            faults.append(f"says nothing with exit status {done.code}: {done.err[-200:]}")
        if out is not None and os.path.isdir(out):
            faults += [f"left {left}" for left in left_files(out)] + self._records(out)
        print(
            json.dumps([command[:2], done.code, round(done.seconds, 1), done.err[-300:]]), file=sys.stderr, flush=True
        )
        return faults

    def _records(self, out: Path) -> list[str]:
        faults = []
        for path in out.glob("*/record.json"):
            try:
                record = json.loads(path.read_text())
            except ValueError:
                faults.append(f"{path} is half-written")
                continue
            if record["status"] == "ok" and numbers(path) != self.truth.get(path.parent.name):
                faults.append(f"{path.parent.name} has other numbers")
        return faults

    def full_disks(self) -> Trials:
        """Runs, data, boards and cards on disks that become full."""
        for size in ("40k", "200k", "600k"):
            with _disk(self.folder / "disk", size) as disk:
                out = disk / "out"
                yield f"disk of {size}: run", self.check(self.trained(out), out)
                _mount("-o", "remount,size=20m", disk)
                again = self.check(self.trained(out), out, codes=(0,))
                yield f"disk of {size}, then of 20m: run again", again
        with _disk(self.folder / "disk", "100k") as disk:
            prepare = ["data", "prepare", "theirs", "--data-root", str(disk / "data")]
            yield "disk full: data prepare", self.check(prepare, codes=(2,))
            _mount("-o", "remount,size=200m", disk)
            yield "disk full, then not: data prepare again", self.check(prepare, codes=(0,))
        with _disk(self.folder / "disk", "8k") as disk:
            (disk / "b.html").write_text("an older board")
            board = ["leaderboard", str(self.base), "--format", "html", "--output", str(disk / "b.html")]
            kept = [] if (disk / "b.html").read_text() == "an older board" else ["the older board is gone"]
            yield "disk full: board", self.check(board, codes=(2,)) + kept
            export = ["export", str(self.base), "--to", "hf", "--output", str(disk / "x")]
            yield "disk full: export", self.check(export, codes=(2,))

    def read_only(self) -> Trials:
        """Folders that cannot be written to."""
        with _disk(self.folder / "disk", "20m") as disk:
            (disk / "out").mkdir()
            _mount("-o", "remount,ro", disk)
            for name, command in {
                "results": self.fast(disk / "out"),
                "results that are not there": self.fast(disk / "new"),
                "data prepare": ["data", "prepare", "theirs", "--data-root", str(disk / "d")],
                "data fetch": ["data", "fetch", "eurosat", "--data-root", str(disk / "d")],
                "board": ["leaderboard", str(self.base), "--format", "html", "--output", str(disk / "b.html")],
                "import": ["import", "/dev/null", "--out", str(disk / "i")],
                "export": ["export", str(self.base), "--to", "stac-mlm", "--output", str(disk / "x")],
            }.items():
                yield f"read-only: {name}", self.check(command, codes=(2,))
        store = self.folder / "store"
        store.mkdir()
        shutil.copytree(self.folder / "data", self.folder / "copy")
        _mount("--bind", self.folder / "copy", store)
        try:
            _mount("-o", "remount,bind,ro", store)
            out = self.folder / "from-read-only"
            command = [*self.fast(out), "--data-root", str(store)]
            yield "read-only: prepared data", self.check(command, out, codes=(0,))
        finally:
            subprocess.run(["umount", store], check=True)
        base = self.folder / "base-copy"
        shutil.copytree(self.base, base)
        with _disk(self.folder / "disk", "20m") as disk:
            shutil.copytree(self.base, disk / "base")
            _mount("-o", "remount,ro", disk)
            for command in ("leaderboard", "verify"):
                yield f"read-only: {command} of records", self.check([command, str(disk / "base")], codes=(0,))

    def limits(self) -> Trials:
        """Limits of size, of open files and of processes."""
        for size in (1_000, 20_000, 200_000):
            out = self.folder / f"size-{size}"
            yield f"files of {size} bytes: run", self.check(self.trained(out), out, before=_limit("FSIZE", size))
            again = self.check(self.trained(out), out, codes=(0,))
            yield f"files of {size} bytes, then of any: run again", again
        root = self.folder / "sized"
        prepare = ["data", "prepare", "theirs", "--data-root", str(root)]
        yield "files of 20,000 bytes: data prepare", self.check(prepare, codes=(2,), before=_limit("FSIZE", 20_000))
        for number in (10, 16, 24, 32, 64):
            out = self.folder / f"files-{number}"
            yield f"{number} open files: run", self.check(self.fast(out), out, before=_limit("NOFILE", number))
        prepare = ["data", "prepare", "theirs", "--workers", "2", "--data-root", str(self.folder / "few")]
        yield "24 open files: data prepare", self.check(prepare, before=_limit("NOFILE", 24))
        for size in (300, 1500, 4000):
            out = self.folder / f"memory-{size}"
            yield f"{size} MB of address space: run", self.check(self.fast(out), out, before=_limit("AS", size << 20))

    def locales(self) -> Trials:
        """What a terminal or a file system cannot write."""
        plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        for name, environment in {
            "C": {"LC_ALL": "C"},
            "C without UTF-8": plain,
            "ASCII": {"PYTHONIOENCODING": "ascii"},
            "Latin-1": {"PYTHONIOENCODING": "latin-1"},
        }.items():
            for command in (
                ["leaderboard", str(self.base)],
                ["list", "models"],
                ["--help"],
                ["claims", "check"],
                ["leaderboard", str(self.base), "--format", "latex"],
            ):
                done = self.check(command, environment=environment)
                yield f"locale {name}: {' '.join(command[:1] + command[2:])}", done
        out = self.folder / "spä ce é 雪 😀"
        yield "locale C without UTF-8: such a folder", self.check(self.fast(out), environment=plain)
        given: dict[str, str | None] = {k: None for k in os.environ if k not in ("PATH", "PYTHONPATH")}
        for name, command in {
            "list": ["list", "models"],
            "doctor": ["doctor"],
            "run": [*self.fast(self.folder / "bare"), "--data-root", str(self.folder / "data")],
        }.items():
            yield (
                f"no environment: {name}",
                self.check(command, codes=(0,), environment={**given, "RSBENCH_DATA": None}),
            )

    def paths(self) -> Trials:
        """Folders of results and of temporary files as people and machines name them."""
        (self.folder / "a file").write_text("precious")
        for name, path in {
            "letters": self.folder / "spä ce é 雪 😀",
            "line break": self.folder / "new\nline",
            "quotes": self.folder / "a'b\"c$(x)`y`",
            "bytes": self.folder / os.fsdecode(b"\xff\xfe"),
            "1,000 letters": self.folder / Path(*["e" * 100] * 10),
            "3,800 letters": self.folder / Path(*["d" * 200] * 19),
            "name of 300 letters": self.folder / ("x" * 300),
            "a dash": self.folder / "-rf",
            "a file": self.folder / "a file",
            "below a file": self.folder / "a file" / "out",
            "a link to nowhere": _link(self.folder / "to nowhere", "/nowhere/at/all"),
            "a link to itself": _link(self.folder / "to itself", "to itself"),
        }.items():
            yield f"results in {name}", self.check(self.fast(path), path if len(str(path)) < 1500 else None)
            if os.path.isdir(path):  # a name that is too long is an error to pathlib
                for command in ("leaderboard", "verify"):
                    yield f"{command} of {name}", self.check([command, str(path)], codes=(0,))
        kept = [] if (self.folder / "a file").read_text() == "precious" else ["the file was overwritten"]
        root = self.folder / "dätä 雪"
        yield "data in letters", self.check(["data", "prepare", "theirs", "--data-root", str(root)], codes=(0,)) + kept
        (self.folder / ("t" * 120)).mkdir()
        (self.folder / "t m p").mkdir()
        for name, path in {
            "nowhere": Path("/nowhere/tmp"),
            "long": self.folder / ("t" * 120),
            "a file": self.folder / "a file",
            "with spaces": self.folder / "t m p",
        }.items():
            out = self.folder / f"tmp-{name}"
            yield f"TMPDIR {name}", self.check(self.fast(out), out, environment={"TMPDIR": str(path)})

    def streams(self) -> Trials:
        """Standard streams that are closed, full or left by their reader."""
        rsbench, base = f"{sys.executable} -m rsbench", self.base
        out = self.folder / "closed"
        fast = " ".join(self.fast(out))
        for line, silent in {
            f"{rsbench} list models | true": True,
            f"{rsbench} --help | true": True,
            f"{rsbench} leaderboard {base} | head -1": True,
            f"{rsbench} leaderboard {base} > /dev/full": False,
            f"{rsbench} list models --json > /dev/full": False,
            f"{rsbench} leaderboard {base} --format csv > /dev/full": False,
            f"{rsbench} leaderboard {base} >&-": True,
            f"{rsbench} run nosuch scenes 2>&-": True,
            f"{rsbench} run nosuch scenes 2> /dev/full": True,
            f"{rsbench} list models <&- | tail -1": True,
            f"{rsbench} verify {base} >&-": True,
            f"{rsbench} {fast} >&- 2>&-": True,
            f"{rsbench} {fast}-2 > /dev/full 2> /dev/full": True,
        }.items():
            name = line.replace(rsbench, "rsbench").replace(str(self.folder), "")
            yield name, self.check(["/bin/bash", "-c", line], silent=silent, codes=(0, 1, 2, 120))
        gone = self.folder / "gone"
        for words in ("list models", f"run majority-class theirs --out {out}-3", "run majority-class theirs"):
            gone.mkdir()
            line = f"cd '{gone}' && rmdir '{gone}' && {rsbench} {words}"
            yield f"directory deleted: {words.split(' --out')[0]}", self.check(["/bin/bash", "-c", line])

    def things_in_the_way(self) -> Trials:
        """What lies where a run would put its files."""
        out = self.folder / "way"
        for name, put in {
            "run folder is a file": lambda run: run.write_text("a file"),
            "lock is a folder": lambda run: (run / ".lock").mkdir(parents=True),
            "record is a folder": lambda run: (run / "record.json").mkdir(parents=True),
            "predictions are a folder": lambda run: (run / "predictions.parquet").mkdir(parents=True),
            "state is a folder": lambda run: (run / "resume.pt").mkdir(parents=True),
            "log is a folder": lambda run: (run / "run.log").mkdir(parents=True),
            "log is full": lambda run: _link(run / "run.log", "/dev/full"),
            "log is a pipe": lambda run: (run.mkdir(parents=True), os.mkfifo(run / "run.log")),
            "record is a pipe": lambda run: (run.mkdir(parents=True), os.mkfifo(run / "record.json")),
            "record is endless": lambda run: _link(run / "record.json", "/dev/zero"),
            "record is a status alone": lambda run: _put(run / "record.json", b'{"status": "ok"}'),
            "record is deep": lambda run: _put(run / "record.json", b"[" * 100_000),
            "record is a list": lambda run: _put(run / "record.json", b"[]"),
            "record is null": lambda run: _put(run / "record.json", b"null"),
            "record is cut off": lambda run: _put(run / "record.json", b'{"status": "o'),
            "record is in UTF-16": lambda run: _put(run / "record.json", '{"status": "ok"}'.encode("utf-16")),
            "record is empty": lambda run: _put(run / "record.json", b""),
        }.items():
            for command in (self.fast(out), [*self.fast(out), "--dry-run"], ["leaderboard", str(out)]):
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                put(out / self.id)
                yield f"{name}: {command[0]} {command[-1]}".replace(str(out), ""), self.check(command, limit=30.0)
        shutil.rmtree(out)
        elsewhere = self.folder / "elsewhere"
        elsewhere.write_text("precious")
        _link(out / self.id / "predictions.parquet", str(elsewhere))
        faults = self.check(self.fast(out), codes=(0, 1, 2))
        kept = [] if elsewhere.read_bytes() == b"precious" else ["a file elsewhere was overwritten"]
        yield "predictions are a link to elsewhere", faults + kept

    def clocks(self) -> Trials:
        """A clock that is wrong."""
        for name, seconds in {"50 years late": -50 * 365 * 86400, "50 years early": 50 * 365 * 86400}.items():
            site = self.folder / f"site {name}"
            _put(
                site / "sitecustomize.py",
                f"import time\n_t = time.time\ntime.time = lambda: _t() + {seconds}\n".encode(),
            )
            path = os.pathsep.join([str(site), self.runs.environment["PYTHONPATH"]])
            out = self.folder / f"clock {name}"
            yield f"clock {name}", self.check(self.fast(out), out, codes=(0,), environment={"PYTHONPATH": path})


GROUPS: Final[dict[str, Callable[[Machine], Trials]]] = {
    "full-disks": Machine.full_disks,
    "read-only": Machine.read_only,
    "limits": Machine.limits,
    "locales": Machine.locales,
    "paths": Machine.paths,
    "streams": Machine.streams,
    "in-the-way": Machine.things_in_the_way,
    "clocks": Machine.clocks,
}


@contextmanager
def _disk(path: Path, size: str) -> Iterator[Path]:
    """Mount a disk in memory."""
    path.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", path)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def _mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def _limit(name: str, number: int) -> Callable[[], None]:
    kind = getattr(resource, f"RLIMIT_{name}")
    return lambda: resource.setrlimit(kind, (number, number))


def _link(path: Path, target: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def main() -> int:
    """Try all, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(GROUPS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rsbench-") as folder:
        machine = Machine(Path(folder))
        groups = [GROUPS[name] for name in given.only.split(",")]
        return report("machine", (trial for group in groups for trial in group(machine)))


if __name__ == "__main__":
    sys.exit(main())
