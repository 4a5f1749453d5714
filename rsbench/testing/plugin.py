"""Checks of a plugin as a whole, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from rsbench.registry import HEAVY, registry
from rsbench.testing.contract import Checks, require

CHECKS: Final = Checks()
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
