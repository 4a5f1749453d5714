"""Tells observers of a run, and keeps what they do wrong away from it."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.containment import same_process
from rsbench.engine.events import Emit
from rsbench.engine.step.snapshot import random_state, set_random_state
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.registry import registry

CHECK: Final = "observer"


class Observers:
    """The observers of one run, and the errors they have raised so far.

    They are told with copies, and the random numbers they draw are not missed: a run with observers gives the numbers
    of one without.

    told: false for ranks other than the first, since a run is told of once, and for what is no run with scores.
    """

    def __init__(self, emit: Emit, told: bool = True) -> None:
        self.emit, self.told = emit, told
        self.errors: list[str] = []

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call a hook of every observer; an error that is new becomes a warning at once."""
        if not self.told or not registry().observers():
            return
        with _same_draws():
            raised = registry().notify(hook, **copy.deepcopy(arguments))
        self._note(raised)

    @contextmanager
    def process_of(self, plan: RunPlan) -> Iterator[None]:
        """Put back what the network of a run, or other code of plugins that it calls, changes of the process."""
        faults: list[str] = []
        model, distribution = plan.model["name"], plan.model.get("distribution")
        try:
            with same_process(f"model '{model}' (distribution '{distribution}')", faults):
                yield
        finally:
            self._note(faults)

    def _note(self, texts: list[str]) -> None:
        """Keep what is new for the record, and warn of it at once."""
        for text in dict.fromkeys(texts):
            if text not in self.errors:
                self.errors.append(text)
                self.emit({"type": "warning", "text": text})

    def end(self, plan: RunPlan, record: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
        """Tell of a run whose record is in *folder*; add the errors of that to the record and return their checks."""
        before = len(self.errors)
        self.tell("rsbench_run_end", plan=plan, record=record)
        late = self.checks()[before:]
        if late:
            store.add_checks(late, folder)
        return late

    def checks(self) -> list[dict[str, Any]]:
        """The record's entry for each error."""
        return [{"name": CHECK, "ok": False, "detail": text} for text in self.errors]


@contextmanager
def _same_draws() -> Iterator[None]:
    """Leave every random generator of the process as it was."""
    python, array, tensor = random.getstate(), np.random.get_state(), random_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        set_random_state(tensor)
