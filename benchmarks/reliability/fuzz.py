"""Damages records and prepared data at random, and sees what commands make of them.

    python benchmarks/reliability/fuzz.py --records 500 --stores 500 --seed 0

A damaged record beside a good one: ``leaderboard``, ``verify`` and ``export`` end in time and without a traceback, and
the good one is on the board.  Damaged prepared data: a run comes to the numbers that it has without the damage, or
fails with a sentence.  Each is tried in a fork of this process, which has imported everything once.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from commands import LIMIT_BYTES, LIMIT_SECONDS, numbers, report

from rsbench.cli import main as rsbench_main
from rsbench.cli.app import build
from rsbench.data.prepare import prepare
from rsbench.engine.run import run as engine
from rsbench.plan import RunRequest, expand
from rsbench.registry import registry
from rsbench.specs import load_attribute

SMALLEST: Final = 20 << 20  # of what a file is replaced by
ODD: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 1.5, 1e308, -(10**30), 10**400, "", "x", "é" * 300, "../../x", "\x1b[31m\0", "nan", [], {}, [[]],
    {"a": 1}, [None] * 50, "9" * 5000,
)  # fmt: skip


def forked(call: Callable[[], object]) -> tuple[list[str], str]:
    """Return what is wrong with a call in a fork of this process, and what it printed."""
    with tempfile.TemporaryFile() as said:
        begin, pid = time.monotonic(), os.fork()
        if pid == 0:
            _child(call, said.fileno())
        faults, process, peak = list[str](), psutil.Process(pid), 0
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            time.sleep(0.01)
            with suppress(psutil.Error):
                peak = max(peak, process.memory_info().rss)
            if not faults and (time.monotonic() - begin > LIMIT_SECONDS or peak > LIMIT_BYTES):
                faults.append(f"took {peak >> 20} MiB" if peak > LIMIT_BYTES else "hung")
                process.kill()
        said.seek(0)
        text = said.read(SMALLEST).decode(errors="replace")
    if "Traceback (most recent call last)" in text:
        faults.append(f"traceback: {text.strip().splitlines()[-1][:200]}")
    elif not faults and os.waitstatus_to_exitcode(ended[1]) not in (0, 1, 2, 3):
        faults.append(f"exit status {os.waitstatus_to_exitcode(ended[1])}")
    return faults, text


def _child(call: Callable[[], object], output: int) -> None:
    code: object = 0
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(output, stream)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", errors="backslashreplace") for n in (1, 2))
        call()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def command(*words: str) -> tuple[list[str], str]:
    """Run a command of rsbench in a fork."""

    def call() -> None:
        sys.argv = ["rsbench", *words]
        rsbench_main()

    faults, text = forked(call)
    return [f"{words[0]}: {fault}" for fault in faults], text


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in JSON data, inner ones as well."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in leaves(one, (*path, key)))][: 1 << 16]


def changed_json(text: str, rng: random.Random) -> bytes:
    """Return JSON in which a value is odd, gone, or under another name."""
    data = copy.deepcopy(json.loads(text))
    path = rng.choice(leaves(data)[1:])
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    way = rng.random()
    if way < 0.7:
        parent[path[-1]] = rng.choice(ODD)
    elif way < 0.9:
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent["odd"] = parent.pop(path[-1])
    else:
        parent.append(rng.choice(ODD))
    return json.dumps(data).encode()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with some of them changed, gone, or more."""
    at = rng.randrange(len(data)) if data else 0
    ways: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :] if data else b"x",
        lambda: data + rng.randbytes(rng.randrange(1, 500)),
        lambda: data[:at] + rng.randbytes(min(64, len(data) - at)) + data[at + 64 :],
        lambda: b"",
        lambda: rng.randbytes(500),
        lambda: b"[" * 100_000,
        lambda: b"null",
        lambda: data[at:] + data[:at],
    ]
    return rng.choice(ways)()


def damage(path: Path, rng: random.Random) -> str:
    """Damage a file, or put something else in its place; return how."""
    way = rng.random()
    if way > 0.1:
        data = path.read_bytes()
        if path.suffix == ".json" and way > 0.4:
            with suppress(ValueError):  # it is damaged already
                path.write_bytes(changed_json(data.decode(), rng))
                return "a value"
        path.write_bytes(damaged(data, rng))
        return "bytes"
    path.unlink()
    how = rng.choice(["gone", "folder", "pipe", "endless", "circle"])
    puts: dict[str, Callable[[], object]] = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "endless": lambda: path.symlink_to("/dev/zero"),
        "circle": lambda: path.symlink_to(path.name),
    }
    puts.get(how, lambda: None)()
    return how


class Fuzz:
    """Fake EuroSAT and two finished runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.base = folder, folder / "data", folder / "base"
        spec = registry().get("dataset", "eurosat")
        load_attribute(spec.fake)(folder / "files", spec, per_class=9)
        prepare(spec, folder / "files", self.root)
        common: dict[str, Any] = {"dataset": "eurosat", "data_root": self.root, "device": "cpu", "threads": 1}
        changes = {"epochs": 1, "precision": "fp32"}
        self.requests = [
            RunRequest(models=((model, {}),), seeds=(0,), out=str(self.base), changes=changes, **common)
            for model in ("tiny-cnn", "majority-class")
        ]
        for request in self.requests:
            engine.execute(expand(request)[0], lambda event: None)
        self.runs = sorted(self.base.glob("*/record.json"))
        assert len(self.runs) == 2
        self.truth = {path.parent.name: numbers(path) for path in self.runs}
        build()

    def record(self, rng: random.Random) -> tuple[str, list[str]]:
        """Damage one of two records, or a file of its run."""
        out = self.folder / "records"
        shutil.copytree(self.base, out)
        bad, good = rng.sample([path.parent.name for path in self.runs], 2)
        file = rng.choice(["record.json"] * 8 + ["predictions.parquet"])
        how = damage(out / bad / file, rng)
        faults, board = command("leaderboard", str(out), "--format", "csv")
        model = "tiny-cnn" if "tiny-cnn" in good else "majority-class"
        if not faults and model not in board:
            faults.append(f"the good record is not on the board: {board[-200:]}")
        faults += command("verify", str(out))[0]
        faults += command(
            "export", str(out), "--to", rng.choice(["hf", "stac-mlm"]), "--output", str(self.folder / "x")
        )[0]
        if numbers(out / good / "record.json") != self.truth[good]:
            faults.append("the good record was changed")
        shutil.rmtree(out)
        shutil.rmtree(self.folder / "x", ignore_errors=True)
        (self.folder / "x").unlink(missing_ok=True)
        return f"{file} of {model}'s neighbor: {how}", faults

    def store(self, rng: random.Random) -> tuple[str, list[str]]:
        """Damage a file of the prepared data."""
        root, out = self.folder / "damaged", self.folder / "out"
        shutil.copytree(self.root, root)
        file = rng.choice(sorted(path for path in (root / "prepared").rglob("*") if path.is_file()))
        name = str(file.relative_to(root / "prepared"))
        how = damage(file, rng)
        request = rng.choice(self.requests)

        def call() -> None:
            import dataclasses

            from rsbench.errors import UserError

            try:
                (plan,) = expand(dataclasses.replace(request, data_root=root, out=str(out)))
            except UserError as error:
                print(f"refused: {error}")
                return
            record = engine.execute(plan, lambda event: None)
            print(
                "ended:", record["status"], (record["error"] or {}).get("type"), (record["error"] or {}).get("message")
            )

        faults, text = forked(call)
        faults = [f for f in faults if not f.startswith("traceback") or "ended: failed" not in text]  # in the run's log
        for path in out.glob("*/record.json"):
            record = json.loads(path.read_text())
            if record["status"] == "ok" and numbers(path) != self.truth.get(path.parent.name):
                faults.append("other numbers")
            if record["status"] != "ok" and record["error"]["type"] not in ("UserError", "UserErrors", "RunError"):
                faults.append(f"no sentence: {record['error']}")
        shutil.rmtree(root)
        shutil.rmtree(out, ignore_errors=True)
        return f"{name}: {how}", faults


def main() -> int:
    """Try all, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--stores", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder))
        for kind, count, trial in (("records", given.records, fuzz.record), ("stores", given.stores, fuzz.store)):
            seeds = range(given.seed, given.seed + count)
            code |= report(f"damaged {kind}", (trial(random.Random(seed)) for seed in seeds))
    return code


if __name__ == "__main__":
    sys.exit(main())
