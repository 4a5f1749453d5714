"""Checks of a plugin as a whole, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import typer

from rsbench.containment import as_json, contained
from rsbench.errors import UserError
from rsbench.plan import RunPlan
from rsbench.records.blank import blank_record
from rsbench.registry import HEAVY, OBSERVER_HOOKS, registry
from rsbench.testing.contract import Checks, require

CHECKS: Final = Checks()
HOOKS: Final = ("rsbench_commands", "rsbench_environment", *OBSERVER_HOOKS)
_PROBE: Final = """
import json, sys
from rsbench.registry import HEAVY, load
found = load()
facts = {"heavy": [m for m in HEAVY if m in sys.modules], "problems": [p.error for p in found.problems]}
print("\\n" + json.dumps(facts))
"""


@dataclass
class PluginTrial:
    """A plugin: its name, and which entries of ``rsbench_expected_failures`` lead nowhere."""

    name: str
    stale: list[str] = field(default_factory=list)
    _probed: dict[str, Any] | None = None

    def probe(self) -> dict[str, Any]:
        """Return what a fresh process sees that loads this plugin alone and takes its specs."""
        if self._probed is None:
            environment = {**os.environ, "RSBENCH_PLUGINS": self.name, "RSBENCH_DISABLE_PLUGIN_AUTOLOAD": ""}
            done = subprocess.run(
                [sys.executable, "-c", _PROBE], capture_output=True, text=True, env=environment, check=False
            )
            require(done.returncode == 0, f"loading it ends a process: {done.stderr.strip()[-300:]}")
            self._probed = json.loads(done.stdout.splitlines()[-1])
        return self._probed


@CHECKS(
    "loads",
    reason="a plugin that raises, misspells a hook or takes a name already taken gives less than it says",
    remedy="mend what is named; rsbench plugins shows the same",
)
def loads(trial: PluginTrial) -> None:
    """It loads without a problem, alone and beside the others."""
    together = [p.error for p in registry().problems if p.plugin == trial.name and "at its top" not in p.error]
    alone = [text for text in trial.probe()["problems"] if "at its top" not in text]
    problems = together or alone
    require(not problems, "; ".join(problems))


@CHECKS(
    "light-import",
    reason=f"every command loads every plugin: one that imports {', '.join(HEAVY[:3])} or the like makes all slow",
    remedy="import it inside the function that needs it, in a module that only the spec's 'module:attribute' names",
)
def light_import(trial: PluginTrial) -> None:
    """Loading it and taking its specs imports nothing heavy."""
    heavy = trial.probe()["heavy"]
    require(not heavy, f"loading it imports {', '.join(heavy)}")


@CHECKS(
    "expected-failures",
    reason="an entry that names no check would hide the next fault of that name",
    remedy="take the entry out of rsbench_expected_failures, or mend its 'kind/name/check'",
)
def expected_failures(trial: PluginTrial) -> None:
    """Every declared expected failure is about a check that exists."""
    require(not trial.stale, f"there is no check {', '.join(trial.stale)}")


@CHECKS(
    "hooks",
    reason="what a hook does wrong is kept away from runs and commands, which do without what it gives",
    remedy="mend what is named; rsbench_environment returns a mapping that JSON can hold",
)
def hooks(trial: PluginTrial) -> None:
    """Commands can be made, facts are JSON, and an observer can be told of a run."""
    with tempfile.TemporaryDirectory() as folder:
        plan = _plan(folder)
        told = {"plan": plan, "epoch": 1, "logs": {"epoch": 1, "train_loss": 1.0, "seconds": 1.0, "lr": 0.1}}
        told |= {"record": blank_record(plan.run_id, plan.public_dict()) | {"status": "ok"}, "chosen": None}
        faults = [fault for hook in HOOKS for fault in _faults(trial.name, hook, told | {"app": typer.Typer()})]
    require(not faults, "; ".join(faults))


def _faults(name: str, hook: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """What calls of a hook of a plugin did wrong."""
    for origin, call in registry().callers(hook):
        if origin.plugin == name:
            try:
                with contained(origin, hook) as faults:
                    as_json(call(**arguments))
                yield from faults
            except UserError as error:
                yield getattr(error, "text", str(error))


def _plan(folder: str) -> RunPlan:
    """The plan of a run that never was."""
    named = {"name": "made-up", "version": "1"}
    return RunPlan(
        run_id="made-up",
        task="made-up",
        seed=0,
        division="debug",
        model=named | {"label": "made-up", "options": {}, "tags": []},
        dataset=named | {"fingerprint": "", "store": ""},
        protocol=named | {"fingerprint": "", "primary": "made-up", "metrics": ["made-up"]},
        recipe={"name": "made-up", "epochs": 1, "batch": 1, "lr": 0.1},
        out=folder,
    )
