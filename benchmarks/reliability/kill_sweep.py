"""Ends commands by signals at random moments, again and again, and sees that they come to the same end all the same.

    python benchmarks/reliability/kill_sweep.py --kills 100 --kinds run,parallel,ranks,multitask,ray --seed 0

Each trial is one command on small fake data, started anew after each kill until it was killed as often as it is to be,
and then left alone.  Its records have to hold what those of a command hold that nobody has disturbed: weights,
predictions, metrics and training curve, bit for bit.  No file and no process may be left, SIGTERM ends a command with
143 and SIGINT with 130, both in time.  Prints a JSON line for each trial and one of totals; exits with 1 where a trial
failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any, Final

import psutil
from commands import MARK, marked, numbers, write_plugin

from rsbench.data.prepare import prepare
from rsbench.registry import registry
from rsbench.specs import load_attribute

EPOCHS: Final = 8
COMMON: Final = ["--threads", "1", "--device", "cpu", "--set", "precision=fp32", "--set", f"epochs={EPOCHS}"]
NETWORK: Final = ["run", "tiny-cnn", "eurosat", "--set", "batch=32", *COMMON]
SMALL: Final = ["dim=32", "depth=1", "heads=2", "mlp=64", "input_size=32", "text_layers=1"]
TOGETHER: Final = [
    "multitask",
    "spatialnet-vit",
    "ucm-captions",
    "rsvqa-lr",
    "--set",
    "batch=8",
    "--steps-per-epoch",
    "8",
    *COMMON,
]
COMMANDS: Final = {
    "run": [*NETWORK, "--seeds", "0"],
    "parallel": [*NETWORK, "--seeds", "0-1", "--parallel", "2"],
    "ranks": [*NETWORK, "--seeds", "0", "--devices", "2"],
    "multitask": [*TOGETHER, "--recipe", "spatialnet-short", *(word for o in SMALL for word in ("--option", o))],
    "ray": [*NETWORK, "--seeds", "0-1", "--launcher", "ray", "--parallel", "2"],
}
TARGETS: Final = {
    "run": ("parent", "worker", "all"),
    "parallel": ("parent", "worker", "all"),
    "ranks": ("parent", "worker", "rank", "all"),
    "multitask": ("parent", "worker", "all"),
    "ray": ("parent", "worker", "ray", "all"),
}
SIGNALS: Final = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)  # half of them cannot be heeded
KEPT: Final = re.compile(
    r"record\.json|predictions\.parquet|model\.safetensors|\.lock|run\.log|rank\d+\.log|ray\.log|leaderboard\.html"
)
END_SECONDS: Final = 60.0  # for a command that was asked to end, and for what it has started

# Has every epoch's state saved, and makes epochs long enough to be met.
PLUGIN: Final = """
import time
from rsbench import hookimpl

@hookimpl
def rsbench_run_start(plan):
    from rsbench.engine.training import trainer
    trainer.RESUME_SECONDS = 0.0

@hookimpl
def rsbench_epoch_end(plan, epoch, logs):
    time.sleep(0.1)
"""


@dataclass
class Place:
    """A folder with data, the plugin and the results of undisturbed commands by kind."""

    folder: Path
    truths: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, *, texts: bool = True) -> Place:
        """Make and prepare the data; without *texts*, nothing for ``multitask``."""
        fakes: dict[str, dict[str, int]] = {"eurosat": {"per_class": 30}}
        if texts:
            fakes |= {"ucm-captions": {"per_class": 4}, "rsvqa-lr": {}}
        for name, options in fakes.items():
            spec = registry().get("dataset", name)
            load_attribute(spec.fake)(folder / "files" / name, spec, **options)
            prepare(spec, folder / "files" / name, folder / "data")
        write_plugin(folder / "plugin", "sweep", {"sweep": PLUGIN})
        return cls(folder)

    def start(self, kind: str, out: Path, mark: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own."""
        path = os.pathsep.join([str(self.folder / "plugin"), *filter(None, [os.environ.get("PYTHONPATH")])])
        given = {"RSBENCH_DATA": str(self.folder / "data"), "PYTHONPATH": path, "OMP_NUM_THREADS": "1", MARK: mark}
        return subprocess.Popen(
            [sys.executable, "-m", "rsbench", *COMMANDS[kind], "--out", str(out)],
            env=os.environ | given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def truth(self, kind: str) -> dict[str, str]:
        """Return what an undisturbed command leaves; under Ray it is what it leaves here."""
        if kind not in self.truths:
            out = self.folder / f"truth-{kind}"
            process = self.start("parallel" if kind == "ray" else kind, out, "")
            _, said = process.communicate()
            if process.returncode:
                raise SystemExit(f"The undisturbed command of kind '{kind}' failed:\n{said}")
            self.truths[kind] = results(out)
        return self.truths[kind]


def results(out: Path) -> dict[str, str]:
    """Return a digest of what each record says that must not depend on what disturbed its run."""
    return {json.loads(path.read_text())["run_id"]: numbers(path) for path in sorted(out.glob("*/record.json"))}


def left_files(out: Path) -> list[str]:
    """Return what lies in the folder of results and does not belong there."""
    return sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file() and not KEPT.fullmatch(p.name))


def depth(process: psutil.Process) -> int:
    """Return 1 for a server of forks, 2 for the workers that it has forked and 3 for the ranks of these."""
    try:
        lines = [" ".join(each.cmdline()) for each in (process, *process.parents())]
    except psutil.Error:
        return 0
    return next((n for n, line in enumerate(lines) if "forkserver" not in line), len(lines))


def targets(role: str, parent: int, mark: str) -> list[psutil.Process]:
    """Return the processes of a role that are there."""
    there = list(marked(mark))
    if role == "ray":
        return [p for p in there if " ".join(p.cmdline()).startswith("ray::eurosat")]
    wanted = {"worker": 2, "rank": 3}.get(role)
    return [p for p in there if role == "all" or (p.pid == parent if wanted is None else depth(p) == wanted)]


@dataclass
class Kill:
    """A signal to the processes of a role, a moment after they were there and after the line of an epoch (0: any)."""

    role: str
    number: int
    epoch: int
    moment: float

    @classmethod
    def draw(cls, kind: str, rng: random.Random) -> Kill:
        """Draw one; a twelfth of them comes before the first epoch and as many after the last."""
        epoch = rng.choice([0, *range(1, EPOCHS), *range(1, EPOCHS), EPOCHS, EPOCHS])
        moment = rng.uniform(0, 6) if epoch == 0 else rng.uniform(0, 0.3)
        return cls(rng.choice(TARGETS[kind]), rng.choice(SIGNALS), epoch, moment)

    def strike(self, process: subprocess.Popen[str], mark: str, rng: random.Random) -> bool:
        """Send the signal; whether somebody was there to get it."""
        assert process.stderr is not None
        for line in process.stderr if self.epoch else ():
            if (found := re.search(r" epoch (\d+)/", line)) and int(found[1]) >= self.epoch:
                break
        Thread(target=process.stderr.read, daemon=True).start()  # else it would wait for a reader
        while process.poll() is None and not targets(self.role, process.pid, mark):
            time.sleep(0.1)
        time.sleep(self.moment)
        there = [] if process.poll() is not None else targets(self.role, process.pid, mark)
        for each in there if self.role == "all" else rng.sample(there, min(len(there), 1)):
            with suppress(psutil.Error, ProcessLookupError):
                each.send_signal(self.number)
        return bool(there)


def draw(kind: str, count: int, rng: random.Random) -> list[Kill]:
    """Draw kills of one command, in the order in which it comes by."""
    return sorted((Kill.draw(kind, rng) for _ in range(count)), key=lambda kill: kill.epoch)


def trial(place: Place, kind: str, kills: list[Kill], rng: random.Random) -> dict[str, Any]:
    """Disturb a command, let it end, and return what was found, ``faults`` above all."""
    out, mark, faults = place.folder / f"trial-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex, list[str]()
    struck = 0
    for kill in kills:
        process = place.start(kind, out, mark)
        hit = kill.strike(process, mark, rng)
        struck += hit
        asked = hit and kill.role in ("parent", "all") and kill.number != signal.SIGKILL
        try:
            code = process.wait(END_SECONDS if asked or kill.role == "all" else None)
        except subprocess.TimeoutExpired:
            faults.append(f"{kill} did not end the command")
            process.kill()
            continue
        if asked and code not in (0, 128 + kill.number):  # 0: it had nothing left to do
            faults.append(f"{kill} ended the command with {code}")
    process = place.start(kind, out, mark)
    _, said = process.communicate()
    if process.returncode:
        faults.append(f"the command failed in the end: {said[-300:]}")
    if results(out) != place.truth(kind):
        faults.append("other results")
    if left := left_files(out):
        faults.append(f"files were left: {left}")
    until = time.monotonic() + END_SECONDS
    while (alive := list(marked(mark))) and time.monotonic() < until:
        time.sleep(0.2)
    if alive:
        faults.append(f"processes were left: {[' '.join(p.cmdline())[:80] for p in alive]}")
        for each in alive:
            each.kill()
    if not faults:
        shutil.rmtree(out)
    roles = [f"{signal.Signals(kill.number).name} {kill.role} at epoch {kill.epoch}" for kill in kills]
    return {"kind": kind, "kills": roles, "struck": struck, "faults": faults}


def main() -> int:
    """Sweep and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", default="run,parallel,ranks,multitask", help=", ".join(COMMANDS))
    parser.add_argument("--kills", type=int, default=100, help="in all")
    parser.add_argument("--each", type=int, default=4, help="kills in a trial")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    kinds, rng = given.kinds.split(","), random.Random(given.seed)
    if "ray" in kinds and find_spec("ray") is None:
        parser.error("Ray is not installed.")
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Place.make(Path(folder), texts="multitask" in kinds)
        while totals["struck"] < given.kills:
            kind = kinds[totals["trials"] % len(kinds)]
            done = trial(place, kind, draw(kind, given.each, rng), rng)
            print(json.dumps(done), flush=True)
            totals.update(trials=1, struck=done["struck"], failed=bool(done["faults"]))
            totals[f"{kind} kills"] += done["struck"]
    print(json.dumps(totals), flush=True)
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
