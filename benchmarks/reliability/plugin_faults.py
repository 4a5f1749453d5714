"""Plugins that do wrong, one fault at a time: each is to cost its own part at most, and to be named.

    python benchmarks/reliability/plugin_faults.py [--only NAME,NAME] [--parts listing,runs]

``listing`` is about what goes wrong when a plugin is loaded and asked: other plugins' models are still listed, JSON is
pure, and ``rsbench plugins`` names the distribution.  ``runs`` is about code that a run calls: the run of another model
in the same command comes to the numbers that it has without the fault, and the command and the record say whose it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any, Final

from commands import Done, numbers, report, run, write_plugin

THEIRS: Final = "rsbench-theirs"
LONG: Final = 300.0  # seconds for what is not under test
HANG: Final = 90.0  # seconds: a hook that hangs is ended after 20, in each of two runs

# Code by place: "top" of the plugin's module, "models" in its hook, "spec" as what that yields, "commands" and "more"
# beside the others.
LISTING: Final[dict[str, dict[str, str]]] = {
    "import raises": {"top": "raise RuntimeError('broken')"},
    "import raises what has no text": {"top": "raise Mute"},
    "import raises BaseException": {"top": "raise BaseException('base')"},
    "import raises GeneratorExit": {"top": "raise GeneratorExit"},
    "import raises KeyboardInterrupt": {"top": "os.kill(os.getpid(), 0); raise OSError(5, 'io')"},
    "import exits": {"top": "sys.exit(3)"},
    "import ends the process": {"top": "os._exit(7)"},
    "import recurses": {"top": "def f(): f()\nf()"},
    "import lacks memory": {"top": "raise MemoryError"},
    "import lacks a module": {"top": "import no_such_module"},
    "import is no Python": {"top": "compile('def', 'x', 'exec')"},
    "import hangs": {"top": "time.sleep(1e6)"},
    "import leaves a thread": {"top": "threading.Thread(target=time.sleep, args=(1e6,)).start()"},
    "import leaves an exit handler that hangs": {"top": "atexit.register(time.sleep, 1e6)"},
    "import prints": {"top": "print('HELLO', flush=True)"},
    "import prints by descriptor": {"top": "os.write(1, b'HELLO\\n')"},
    "import closes standard output": {"top": "os.close(1)"},
    "import closes sys.stdout": {"top": "sys.stdout.close()"},
    "import redirects sys.stdout": {"top": "sys.stdout = open(os.devnull, 'w')"},
    "import takes sys.stdout away": {"top": "sys.stdout = None"},
    "import changes directory": {"top": "os.chdir('/')"},
    "import ignores signals": {"top": "signal.signal(signal.SIGINT, signal.SIG_IGN)"},
    "import lowers the recursion limit": {"top": "sys.setrecursionlimit(60)"},
    "import takes the excepthook": {"top": "sys.excepthook = lambda *a: None"},
    "import makes warnings errors": {"top": "import warnings; warnings.simplefilter('error')"},
    "import patches json": {"top": "json.dumps = lambda *a, **k: 'patched'"},
    "import patches what is called at its end": {"top": "os.dup2 = signal.signal = signal.setitimer = time.monotonic = None"},
    "import patches open": {"top": "import builtins, io; builtins.open = io.open = None"},
    "hook patches time": {"models": "time.time = time.perf_counter = lambda: 0.0"},
    "hook patches hashes": {"models": "import hashlib; hashlib.sha256 = hashlib.md5; os.replace = os.fsync = print"},
    "import changes the environment": {"top": "os.environ['HOME'] = '/nowhere'"},
    "import clears the environment": {"top": "os.environ.clear()"},
    "import seeds": {"top": "import random; random.seed(9)"},
    "import of torch, other dtype": {"top": "import torch; torch.set_default_dtype(torch.float64)"},
    "import of torch, no gradients": {"top": "import torch; torch.set_grad_enabled(False)"},
    "hook raises": {"models": "raise RuntimeError('hook')"},
    "hook raises what has no text": {"models": "raise Mute"},
    "hook exits": {"models": "sys.exit(4)"},
    "hook ends the process": {"models": "os._exit(4)"},
    "hook gives None": {"models": "return None"},
    "hook gives specs without end": {"models": "while True: yield ModelSpec(name='n', summary='s', factory='x:y')"},
    "hook hangs": {"models": "time.sleep(1e6)"},
    "hook prints": {"models": "print('HELLO')"},
    "hook raises after a spec": {"models": "yield ModelSpec(name='first', summary='s', factory='x:y'); raise ValueError"},
    "hook of another signature": {"more": "@hookimpl\ndef rsbench_losses(a, b): return []"},
    "name of ours": {"spec": "model(name='tiny-cnn')"},
    "name that is a path": {"spec": "model(name='../../etc/x')"},
    "name of 300 letters": {"spec": "model(name='n' * 300)"},
    "name of a million letters": {"spec": "model(name='n' * 10**6)"},
    "name that is a list": {"spec": "set(model(), name=['a'])"},
    "name that is a number": {"spec": "set(model(), name=7)"},
    "name that is None": {"spec": "set(model(), name=None)"},
    "no spec": {"spec": "'not a spec'"},
    "spec of another kind": {"spec": "DatasetSpec(name='d', summary='s', source='x:y')"},
    "summary that is a number": {"spec": "model(summary=3)"},
    "summary with escapes": {"spec": "model(summary='\\x1b[2J[bold]x[/nope]<script>\\n\\rline')"},
    "summary of 10 MB": {"spec": "model(summary='A' * 10**7)"},
    "options of another type": {"spec": "model(options={'a': 3})"},
    "option that is NaN": {"spec": "model(options={'a': Option(default=float('nan'), help='x')})"},
    "tasks of another type": {"spec": "model(tasks=3)"},
    "tag that JSON cannot hold": {"spec": "model(tags=(object(),))"},
    "accepts of another type": {"spec": "model(accepts=3)"},
    "spec whose attributes raise": {"spec": "Raising()"},
    "classes of another type": {"more": "@hookimpl\ndef rsbench_datasets(): yield DatasetSpec(name='d', summary='s', source='x:y', classes=3)"},
    "metrics of another type": {"more": "@hookimpl\ndef rsbench_protocols(): yield ProtocolSpec(name='p', summary='s', dataset='scenes', split='x:y', metrics=7)"},
    "recipe of other types": {"more": "@hookimpl\ndef rsbench_recipes(): yield RecipeSpec(name='r', summary='s', epochs='many', loss=3)"},
    "claims of another type": {"more": "@hookimpl\ndef rsbench_claims(): yield 3"},
    "expected failures of another type": {"more": "@hookimpl\ndef rsbench_expected_failures(): return 3"},
    "resolver raises": {"spec": "model(name='th:*', resolver='theirs:raises', members='theirs:raises', example='a')"},
    "resolver hangs": {"spec": "model(name='th:*', resolver='theirs:hangs', members='theirs:hangs', example='a')"},
    "resolver gives another kind": {"spec": "model(name='th:*', resolver='theirs:other', members='theirs:other', example='a')"},
    "commands raise": {"commands": "raise RuntimeError('commands')"},
    "command of ours": {"commands": "@app.command('run')\ndef run(): print('STOLEN')"},
    "command that is none": {"commands": "app.command('bad')(3)"},
    "command of types unknown": {"commands": "@app.command('theircmd')\ndef theircmd(x: object = 3): pass"},
    "command that raises": {"commands": "@app.command('theircmd')\ndef theircmd(): raise Mute"},
    "callback of all commands": {"commands": "app.callback()(lambda: print('STOLEN'))"},
    "property that raises": {"more": "class Odd:\n    @property\n    def rsbench_models(self): raise RuntimeError('property')\nsys.modules[__name__] = Odd()"},
    "entry point without a module": {"entry": "gone = no.such.module"},
    "entry point without an attribute": {"entry": "gone = theirs:nothing"},
    "entry point that is an odd object": {"entry": "gone = theirs:raising"},
    "entry point of an odd name": {"entry": "1 odd name = theirs"},
    "entry point twice": {"entry": "theirs2 = theirs"},
    "entry point of another distribution's name": {"second": "theirs"},
}  # fmt: skip
HARMLESS: Final = {
    "import takes the excepthook", "import makes warnings errors", "import changes the environment",
    "import clears the environment", "import seeds", "hook gives None", "name of 300 letters",
    "summary with escapes", "entry point twice", "resolver raises", "resolver hangs", "resolver gives another kind",
    "summary of 10 MB", "name of a million letters", "name that is a path", "command that raises",
}  # fmt: skip  # nothing is to be named, or a further command names it

PLUGIN: Final = """
import atexit, json, os, signal, sys, threading, time
from rsbench import hookimpl
from rsbench.specs import DatasetSpec, ModelSpec, Option, ProtocolSpec, RecipeSpec

class Mute(Exception):
    def __str__(self): raise RuntimeError("no text")

class Raising:
    def __getattribute__(self, name): raise RuntimeError("attribute")

raising = Raising()

def model(name="their-net", **fields):
    return ModelSpec(**{{"name": name, "summary": "s", "factory": "x:y", **fields}})

def set(spec, **fields):
    for name, value in fields.items():
        object.__setattr__(spec, name, value)
    return spec

def raises(member): raise Mute

def hangs(member): time.sleep(1e6)

def other(member): return [3]

{top}

@hookimpl
def rsbench_models():
{models}
    yield {spec}

@hookimpl
def rsbench_commands(app):
{commands}

{more}
"""

RUN_PLUGIN: Final = """
import atexit, json, os, signal, sys, threading, time
from rsbench import hookimpl
from rsbench.specs import Band, DatasetSpec, LossSpec, MetricSpec, ModelSpec, ProtocolSpec, RecipeSpec
from rsbench.tasks.standard import CLASSIFICATION

BANDS = tuple(Band(name=n, min=0, max=255) for n in ("red", "green", "blue"))

class Mute(Exception):
    def __str__(self): raise RuntimeError("no text")

@hookimpl
def rsbench_models():
    yield ModelSpec(name="their-net", summary="s", factory="theirs_code:build")

@hookimpl
def rsbench_datasets():
    yield DatasetSpec(name="theirs", summary="s", source="theirs_code:source", classes=("a", "b", "c", "d"),
                      bands=BANDS, image_size=16, samples=240, generated=True, default_protocol="theirs")

@hookimpl
def rsbench_metrics():
    yield MetricSpec(name="their-metric", summary="s", factory="theirs_code:metric", range=(None, None))

@hookimpl
def rsbench_losses():
    yield LossSpec(name="their-loss", summary="s", factory="theirs_code:loss")

@hookimpl
def rsbench_recipes():
    yield RecipeSpec(name="theirs", summary="s", epochs=3, batch=32, loss="{used_loss}", precision="fp32")

@hookimpl
def rsbench_protocols():
    yield ProtocolSpec(name="theirs", summary="s", dataset="theirs", split="theirs_code:split", size=16, seeds=(0,),
                       metrics=(*CLASSIFICATION, "their-metric"), selection="best_val", recipe="theirs")

@hookimpl
def rsbench_environment():
{environment}
    return {{"fact": 1}}

@hookimpl
def rsbench_run_start(plan):
    if plan.model["name"] == "their-net":
{start}
        pass

@hookimpl
def rsbench_epoch_end(plan, epoch, logs):
    if plan.model["name"] == "their-net":
{epoch}
        pass

@hookimpl
def rsbench_run_end(plan, record):
    if plan.model["name"] == "their-net":
{end}
        pass
"""

RUN_CODE: Final = """
import ctypes, os, random, signal, subprocess, sys, threading, time
import numpy as np, torch
from torch import nn
from rsbench.metrics.contract import Metric
from rsbench.data.splits import from_column
from theirs import Mute
{code}

class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.last, self.calls = nn.Linear(channels, classes), 0
    def forward(self, images):
        self.calls += 1
        logits = self.last(images.float().mean((2, 3)))
{forward}
        if self.calls == 9:
{late}
            pass
        if not self.training:
{evaluation}
            pass
        return logits
    def log_values(self):
{log}
        return {{}}

def build(context, **options):
{build}
    return Net(context.channels, len(context.classes))

class Score(Metric):
    def statistics(self, predictions, references):
{statistics}
        return (predictions.labels == references).astype(float)[:, None]
    def reduce(self, statistics):
{reduce}
        return float(statistics.mean())

def metric(context):
{metric}
    return Score()

class Loss(nn.Module):
    def forward(self, logits, targets):
{loss}
        return nn.functional.cross_entropy(logits, targets)

def loss(context): return Loss()

class Source:
    shape, dtype, classes = (3, 16, 16), "uint8", ("a", "b", "c", "d")
    def __init__(self):
        self.image_ids = [f"m{{i:04d}}" for i in range(240)]
        parts = ["train" if i < 160 else "val" if i < 200 else "test" for i in range(240)]
        self.columns = {{"id": self.image_ids, "label": [i % 4 for i in range(240)], "official_split": parts}}
    def read(self, start, stop, out):
{read}
        for k in range(start, stop):
            image = np.random.default_rng(k).normal(120, 40, self.shape)
            image[k % 3] += 20 * (k % 4)
            out[k - start] = np.clip(image, 0, 255).astype("uint8")

def source(root, spec):
{source}
    return Source()

def split(ids, columns, **options):
{split}
    return from_column(ids, columns, **options)
"""

# Code by place, and what becomes of the run of their network: "ok" (with the numbers that it has without the fault),
# "any", "failed", "null" (their metric has no value, all else is the same), "loss" (both runs fail, which have it),
# "all" (no run comes to an end, of which it is a part), "prepare" (their data are not prepared), "killed" (nor then: few
# images are read in the process of the command, with which it ends), "stopped" (as by who
# manages the job, whose signal it might be; the command goes on when it is given again).
RUNS: Final[dict[str, tuple[str, str, str]]] = {
    "network cannot be imported": ("code", "raise RuntimeError('code')", "failed"),
    "network is not built": ("build", "raise Mute", "failed"),
    "network exits as it is built": ("build", "sys.exit(0)", "failed"),
    "network is None": ("build", "return None", "failed"),
    "network prints": ("build", "print('HELLO'); os.write(1, b'HELLO')", "ok"),
    "network gives another shape": ("forward", "logits = logits[:, :2]", "failed"),
    "network gives a text": ("forward", "return 'logits'", "failed"),
    "network gives NaN": ("forward", "logits = logits * float('nan')", "failed"),
    "network gives NaN late": ("late", "logits = logits * float('nan')", "failed"),
    "network gives NaN in evaluation": ("evaluation", "logits = logits * float('nan')", "failed"),
    "network gives infinity in evaluation": ("evaluation", "logits = logits + float('inf')", "failed"),
    "network raises late": ("late", "raise RuntimeError('late\\nerror')", "failed"),
    "network raises what has no text": ("late", "raise Mute", "failed"),
    "network exits": ("late", "sys.exit(0)", "failed"),
    "network ends the process": ("late", "os._exit(0)", "failed"),
    "network aborts": ("late", "os.abort()", "failed"),
    "network crashes": ("late", "ctypes.string_at(0)", "failed"),
    "network is killed": ("late", "os.kill(os.getpid(), 9)", "failed"),
    "network is interrupted": ("late", "raise KeyboardInterrupt", "failed"),
    "network lacks memory": ("late", "torch.ones(10**13)", "any"),
    "network recurses": ("late", "self.forward = lambda x: self(x)\nself(images)", "failed"),
    "network changes the default dtype": ("late", "torch.set_default_dtype(torch.float64)", "ok"),
    "network gives float64": ("forward", "logits = logits.double()", "any"),
    "network changes directory": ("late", "os.chdir('/')", "ok"),
    "network writes into its images": ("late", "images.zero_()", "any"),
    "network seeds": ("forward", "torch.manual_seed(9)", "any"),
    "network leaves a thread": ("late", "threading.Thread(target=time.sleep, args=(1e6,)).start()", "ok"),
    "network logs NaN": ("log", "return {'their-metric': float('nan')}", "ok"),
    "network logs a text": ("log", "return {'their-metric': 'abc'}", "ok"),
    "network's log raises": ("log", "raise Mute", "any"),
    "observer raises at the start": ("start", "raise RuntimeError('start')", "ok"),
    "observer exits": ("start", "sys.exit(5)", "ok"),
    "observer changes directory": ("start", "os.chdir('/')", "ok"),
    "observer changes the plan": ("start", "plan.recipe['epochs'] = 1; plan.protocol['metrics'] = ()", "ok"),
    "observer hangs": ("start", "time.sleep(1e6)", "ok"),
    "observer leaves a thread": ("start", "threading.Thread(target=time.sleep, args=(1e6,)).start()", "ok"),
    "observer leaves an exit handler": ("start", "atexit.register(time.sleep, 1e6)", "ok"),
    "observer clears the environment": ("start", "os.environ.clear()", "ok"),
    "observer raises what has no text": ("start", "raise Mute", "ok"),
    "observer interrupts": ("start", "raise KeyboardInterrupt", "ok"),
    "observer prints": ("start", "print('X' * 1000)", "ok"),
    "observer raises at an epoch": ("epoch", "raise RuntimeError('epoch')", "ok"),
    "observer changes the default dtype": ("epoch", "import torch; torch.set_default_dtype(torch.float64)", "ok"),
    "observer switches gradients off": ("epoch", "import torch; torch.set_grad_enabled(False)", "ok"),
    "observer draws": ("epoch", "import random, torch; torch.manual_seed(9); random.random()", "ok"),
    "observer sets threads": ("epoch", "import torch; torch.set_num_threads(2)", "ok"),
    "observer changes the logs": ("epoch", "logs['train_loss'] = float('nan'); logs.clear()", "ok"),
    "observer is killed": ("epoch", "os.kill(os.getpid(), 9)", "failed"),
    "observer ends the process": ("epoch", "os._exit(3)", "failed"),
    "observer sends SIGTERM": ("epoch", "os.kill(os.getpid(), 15)", "stopped"),
    "observer raises at the end": ("end", "raise RuntimeError('end')", "ok"),
    "observer changes the record": ("end", "record['metrics'].clear(); record['status'] = 'failed'", "ok"),
    "observer is killed at the end": ("end", "os.kill(os.getpid(), 9)", "ok"),
    "observer hangs at the end": ("end", "time.sleep(1e6)", "ok"),
    "observer raises odd letters": ("end", "raise RuntimeError('\\ud800 \\x1b[31m \\x00')", "ok"),
    "environment exits": ("environment", "raise SystemExit(3)", "ok"),
    "environment is NaN": ("environment", "return {'x': float('nan')}", "ok"),
    "environment is an object": ("environment", "return {'x': object()}", "ok"),
    "environment is deep": ("environment", "d = {}\nfor _ in range(3000): d = {'a': d}\nreturn d", "ok"),
    "environment is 30 MB": ("environment", "return {'x': 'A' * 30_000_000}", "ok"),
    "environment is no mapping": ("environment", "return 3", "ok"),
    "environment hangs": ("environment", "time.sleep(1e6)", "ok"),
    "metric is not built": ("metric", "raise RuntimeError('metric')", "null"),
    "metric raises": ("statistics", "raise Mute", "null"),
    "metric exits": ("statistics", "sys.exit(0)", "null"),
    "metric prints": ("statistics", "print('HELLO'); os.write(1, b'HELLO')", "ok"),
    "metric changes its references": ("statistics", "references[:] = predictions.labels", "null"),
    "metric gives rows of another number": ("statistics", "return np.ones((3, 1))", "null"),
    "metric gives a text": ("statistics", "return 'rows'", "null"),
    "metric gives objects": ("statistics", "return np.array([[object()]] * len(references))", "null"),
    "metric gives NaN": ("reduce", "return float('nan')", "null"),
    "metric's score raises": ("reduce", "raise RuntimeError('reduce')", "null"),
    "metric's score is None": ("reduce", "return None", "null"),
    "metric overflows": ("reduce", "return float(statistics.sum()) * 1e308 * 10", "null"),
    "metric has no interval": ("reduce", "self.n = getattr(self, 'n', 0) + 1\nif self.n > 1: raise RuntimeError('second')", "any"),
    "loss raises": ("loss", "raise RuntimeError('loss')", "loss"),
    "loss raises what has no text": ("loss", "raise Mute", "loss"),
    "loss exits": ("loss", "sys.exit(0)", "loss"),
    "loss is NaN": ("loss", "return logits.sum() * float('nan')", "loss"),
    "loss is a vector": ("loss", "return logits.sum(1)", "loss"),
    "loss is a text": ("loss", "return 'loss'", "loss"),
    "loss has no gradient": ("loss", "return logits.sum().detach()", "loss"),
    "source raises": ("source", "raise Mute", "prepare"),
    "source exits": ("source", "sys.exit(0)", "prepare"),
    "source is None": ("source", "return None", "prepare"),
    "source raises as it reads": ("read", "raise Mute", "prepare"),
    "source exits as it reads": ("read", "sys.exit(0)", "prepare"),
    "source ends the process": ("read", "os._exit(0)", "prepare"),
    "source is killed": ("read", "os.kill(os.getpid(), 9)", "killed"),
    "source prints": ("read", "print('HELLO')", "ok"),
    "split raises": ("split", "raise Mute", "all"),
    "split exits": ("split", "sys.exit(0)", "all"),
    "split is None": ("split", "return None", "all"),
    "split overlaps": ("split", "return {'train': [0, 1], 'val': [1], 'test': [2]}", "all"),
    "split counts too far": ("split", "return {'train': [0, 1], 'val': [2], 'test': [10**9]}", "all"),
    "split counts below zero": ("split", "return {'train': [0, 1], 'val': [2], 'test': [-3]}", "all"),
    "split counts in texts": ("split", "return {'train': ['a'], 'val': ['b'], 'test': ['c']}", "all"),
    "split is empty": ("split", "return {'train': [], 'val': [], 'test': []}", "all"),
}  # fmt: skip


SILENT: Final = {
    "network prints", "network leaves a thread", "network logs NaN", "network logs a text", "observer draws",
    "observer changes the plan", "observer leaves an exit handler", "observer clears the environment",
    "observer prints", "observer changes the logs", "observer sends SIGTERM", "observer changes the record", "metric prints", "metric gives NaN",
    "observer is killed at the end", "metric overflows",
}  # fmt: skip  # nothing is to be named


def listing(name: str, code: dict[str, str], folder: Path) -> list[str]:
    """Return what is wrong with the commands that list and plan while a plugin does wrong."""
    plugin = folder / "plugin"
    shutil.rmtree(plugin, ignore_errors=True)
    parts = {"top": "", "models": "pass", "spec": "model()", "commands": "pass", "more": ""} | code
    source = PLUGIN.format(**parts | {k: indent(parts[k], "    ") for k in ("models", "commands")})
    write_plugin(plugin, "theirs", {"theirs": source}, THEIRS)
    if "entry" in code:
        with (plugin / "rsbench_theirs-1.dist-info" / "entry_points.txt").open("a") as entries:
            entries.write(code["entry"] + "\n")
    if "second" in code:
        write_plugin(folder / "plugin", "theirs", {}, "rsbench-theirs-too")
    path = {
        "PYTHONPATH": os.pathsep.join([str(plugin), os.environ.get("PYTHONPATH", "")]),
        "RSBENCH_DATA": str(folder / "listing"),  # scenes are drawn once
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    faults: list[str] = []

    def command(*words: str, codes: tuple[int, ...] = (0,)) -> Done:
        done = run(words, path, codes=codes)
        faults.extend(f"{' '.join(words)}: {fault}" for fault in done.faults)
        return done

    try:
        listed = {model["name"] for model in json.loads(command("list", "models", "--json").out)}
        if not {"tiny-cnn", "bmta"} <= listed:
            faults.append("first-party models are not listed")
    except (ValueError, KeyError, TypeError) as error:
        faults.append(f"no JSON: {error}")
    said = command("plugins", codes=(0, 1)).out
    if "STOLEN" in command("run", "tiny-cnn", "scenes", "--dry-run").out:
        faults.append("a command of ours was taken")
    if name.startswith("resolver"):
        said += command("run", "th:a", "scenes", "--dry-run", codes=(2,)).err
        said += command("list", "models", "th:*", codes=(0, 2)).err
    if name.startswith("command"):
        said += command("theircmd", codes=(0, 1, 2)).err
    if name not in HARMLESS and THEIRS not in said and "theirs" not in said:
        faults.append("nobody is named")
    return faults


@dataclass
class Runs:
    """A folder in which runs are made, and what the undisturbed one left."""

    folder: Path
    truth: dict[str, str]

    @classmethod
    def make(cls, folder: Path) -> Runs:
        """Make the undisturbed runs."""
        made = cls(folder, {})
        made.write("code", "", used_loss="cross-entropy")
        for words in (["data", "prepare", "theirs"], made.command("truth")):
            done = run(words, made.environment, limit=LONG)
            if done.code or done.faults:
                raise SystemExit(f"The undisturbed command failed: {done.faults} {done.err}")
        made.truth = {
            m: numbers(
                next((folder / "truth").glob(f"*{m}-*/record.json")), without="their-metric", weights=m == "tiny-cnn"
            )
            for m in ("their-net", "tiny-cnn")
        }
        return made

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder / "plugin"), os.environ.get("PYTHONPATH", "")])
        return {"PYTHONPATH": path, "RSBENCH_DATA": str(self.folder / "data"), "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, out: str) -> list[str]:
        """Return the command of a run of their network, and of ours."""
        return [
            "run",
            "their-net,tiny-cnn",
            "theirs",
            "--threads",
            "1",
            "--device",
            "cpu",
            "--out",
            str(self.folder / out),
        ]

    def write(self, place: str, code: str, used_loss: str) -> None:
        """Write the plugin with code in a place."""
        depth = {
            "late": 12,
            "evaluation": 12,
            "code": 0,
            "environment": 4,
            "build": 4,
            "metric": 4,
            "source": 4,
            "split": 4,
        }
        places = ["code", "forward", "late", "evaluation", "log", "build", "statistics", "reduce", "metric", "loss", "read", "source", "split", "environment", "start", "epoch", "end"]  # fmt: skip
        parts = {p: indent(code if p == place else "pass", " " * depth.get(p, 8)) for p in places}
        plugin = RUN_PLUGIN.format(used_loss=used_loss, **parts)
        write_plugin(
            self.folder / "plugin", "theirs", {"theirs": plugin, "theirs_code": RUN_CODE.format(**parts)}, THEIRS
        )

    def trial(self, name: str) -> list[str]:
        """Return what is wrong with a command in which something goes wrong."""
        place, code, expected = RUNS[name]
        if place == "split":  # it is made once
            shutil.rmtree(self.folder / "data" / "prepared" / "theirs-1" / "splits", ignore_errors=True)
        self.write(place, code, "their-loss" if place == "loss" else "cross-entropy")
        if expected == "prepare" or place == "read":
            return self._prepared(expected)
        codes = (143,) if expected == "stopped" else (0, 1, 2)
        done = run(self.command("out"), self.environment, limit=HANG, codes=codes)
        if expected == "stopped" and not done.faults:
            self.write("code", "", "cross-entropy")
            done, expected = run(self.command("out"), self.environment, limit=HANG, codes=(0,)), "ok"
        faults, found = [*done.faults, *self._differences(expected)], self._records("out")
        about = [[one.get(k) for k in ("error", "checks", "env", "metrics")] for one in found.values()]
        said = done.err + json.dumps(about)
        if (
            expected != "any"
            and name not in SILENT
            and not any(whose in said for whose in (THEIRS, "odel 'their-net'"))
        ):
            faults.append("nobody is named")
        if found:
            ends = (0,) if any(one["status"] == "ok" for one in found.values()) else (0, 1, 2, 3)
            verified = run(["verify", str(self.folder / "out")], self.environment, codes=ends)
            faults += [f"verify: {fault}" for fault in verified.faults]
        note(name, done)
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        return faults

    def _differences(self, expected: str) -> list[str]:
        """Return how the records differ from what they are to be."""
        want = {
            "their-net": {"null": "ok", "loss": "failed"}.get(expected, expected),
            "tiny-cnn": {"loss": "failed", "all": "all"}.get(expected, "ok"),
        }
        faults = []
        for model, status in want.items():
            path = next((self.folder / "out").glob(f"*{model}-*/record.json"), None)
            record = json.loads(path.read_text()) if path else {"status": "absent", "error": None, "metrics": {}}
            if status == "all":
                status = record["status"] if record["status"] != "ok" else "one that cannot be"
            if status not in ("any", record["status"]):
                faults.append(f"the run of {model} is {record['status']}, not {status}: {record['error']}")
            elif (
                status == "ok"
                and numbers(path, without="their-metric", weights=model == "tiny-cnn") != self.truth[model]
            ):
                faults.append(f"the run of {model} has other numbers")
            if expected == "null" and record["metrics"].get("their-metric", {}).get("value") is not None:
                faults.append(f"their metric has a value for {model}")
        return faults

    def _records(self, out: str) -> dict[str, Any]:
        """Return model -> its record."""
        found = [json.loads(path.read_text()) for path in (self.folder / out).glob("*/record.json")]
        return {record["plan"]["model"]["name"]: record for record in found}

    def _prepared(self, expected: str) -> list[str]:
        root = self.folder / "again"
        done = run(
            ["data", "prepare", "theirs", "--workers", "2", "--data-root", str(root)],
            self.environment,
            codes={"ok": (0,), "killed": (-9,)}.get(expected, (2,)),
        )
        faults = list(done.faults)
        if expected == "prepare" and THEIRS not in done.err:
            faults.append("nobody is named")
        self.write("code", "", "cross-entropy")
        after = run(["data", "prepare", "theirs", "--data-root", str(root)], self.environment, codes=(0,))
        faults += [f"afterwards: {fault}" for fault in after.faults]
        note("prepare", done)
        shutil.rmtree(root, ignore_errors=True)
        return faults


def note(name: str, done: Done) -> None:
    """Say on standard error what a command said."""
    facts = {"name": name, "code": done.code, "seconds": round(done.seconds, 1), "said": done.err[-400:]}
    print(json.dumps(facts), file=sys.stderr, flush=True)


def main() -> int:
    """Try all, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="names of faults, with commas")
    parser.add_argument("--parts", default="listing,runs")
    given = parser.parse_args()

    def chosen(names: Any) -> list[str]:
        return [n for n in names if not given.only or n in given.only.split(",")]

    code = 0
    with tempfile.TemporaryDirectory() as folder:
        if "listing" in given.parts:
            names = chosen(LISTING)
            drawn = {"RSBENCH_DATA": str(Path(folder) / "listing")}
            run(["run", "tiny-cnn", "scenes", "--dry-run"], drawn, limit=LONG)
            trials = ((name, listing(name, LISTING[name], Path(folder))) for name in names)
            code |= report("plugins at import, hook and spec", trials)
        if "runs" in given.parts:
            place, names = Runs.make(Path(folder)), chosen(RUNS)
            code |= report("plugins at run time", ((name, place.trial(name)) for name in names))
    return code


if __name__ == "__main__":
    sys.exit(main())
