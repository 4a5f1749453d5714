"""A network or an observer that does wrong costs its own run at most, is named, and changes no other number."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from one_run import one_run
from torch import nn

from rsbench import hookimpl
from rsbench.containment import Origin
from rsbench.engine.run.run import execute
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.registry import registry
from rsbench.specs import LossSpec


class Net(nn.Module):
    """Does something odd at the tenth batch, or, in the second epoch, gives NaN."""

    odd = ""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(channels, classes)
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 10:
            {
                "exits": lambda: sys.exit(0),
                "interrupts": lambda: (_ for _ in ()).throw(KeyboardInterrupt),
                "moves": lambda: os.chdir("/"),
                "dtype": lambda: torch.set_default_dtype(torch.float64),
            }.get(self.odd, lambda: None)()
        logits = self.last(images.float().mean((2, 3)))
        return logits * float("nan") if self.odd == "nan" and self.calls >= 5 else logits

    def log_values(self) -> dict[str, Any]:
        return {"nan": float("nan"), "text": "abc", "one": 1} if self.odd == "logs" else {}


def build(context: Any, **options: Any) -> Net | None:
    return None if Net.odd == "none" else Net(context.channels, len(context.classes))


@pytest.fixture
def plan(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPlan:
    """A run of the network above, as if a distribution had it, in a relative folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(registry()._packages, __name__, Origin("theirs", "rsbench-theirs", "1"))
    made = one_run(root, Path("out"), {"epochs": 2, "batch": 8}, "baseline-cnn")
    model = {**made.model, "name": "their-net", "factory": f"{__name__}:build", "distribution": "rsbench-theirs"}
    return dataclasses.replace(made, model=model)


def run(plan: RunPlan, monkeypatch: pytest.MonkeyPatch, odd: str) -> dict[str, Any]:
    monkeypatch.setattr(Net, "odd", odd)
    # Where Ctrl-C is left to Python, a KeyboardInterrupt is the user's.
    monkeypatch.setattr("rsbench.containment.signal.default_int_handler", None)
    execute(plan, lambda event: None)
    return store.load(Path(plan.out) / plan.run_id)


@pytest.mark.parametrize(("odd", "error"), [("exits", "SystemExit: 0"), ("interrupts", "KeyboardInterrupt")])
def test_a_network_that_ends_the_process_fails_its_run(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch, odd: str, error: str
) -> None:
    record = run(plan, monkeypatch, odd)
    assert record["status"] == "failed"
    said = f"{error} (raised in code of plugin 'theirs' (distribution 'rsbench-theirs'))"
    assert record["error"]["message"] == said


@pytest.mark.parametrize(
    ("odd", "stage", "error"),
    [("none", "build", "returned NoneType, not a module"), ("nan", "train", "The loss became nan in epoch ")],
)
def test_what_our_code_refuses_of_a_network_names_its_distribution(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch, odd: str, stage: str, error: str
) -> None:
    found = run(plan, monkeypatch, odd)["error"]
    assert found["stage"] == stage
    assert error in found["message"]
    assert found["message"].endswith(" (model 'their-net' is of distribution 'rsbench-theirs')")


class Loss(nn.Module):
    odd = ""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> Any:
        return {
            "text": lambda: "loss",
            "vector": lambda: logits.sum(1),
            "NaN": lambda: logits.sum() * float("nan"),
            "detached": lambda: logits.sum().detach(),
        }[self.odd]()


def build_loss(context: Any) -> Any:
    return None if Loss.odd == "none" else Loss()


@pytest.mark.parametrize(
    ("odd", "error"),
    [
        ("none", "The factory of loss 'their-loss' returned NoneType, not a module."),
        ("text", "The loss of 'their-net' on its first batch is str, not one finite number."),
        ("vector", "The loss of 'their-net' on its first batch is a tensor [8], not one finite number."),
        ("NaN", "The loss of 'their-net' on its first batch is nan, not one finite number."),
        ("detached", "The loss of 'their-net' has no gradient: it does not come of what the model gave."),
    ],
)
def test_what_our_code_refuses_of_a_loss_names_its_distribution_too(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch, odd: str, error: str
) -> None:
    spec = LossSpec(name="their-loss", summary="s", factory=f"{__name__}:build_loss")
    monkeypatch.setitem(registry()._specs["loss"], "their-loss", spec)
    monkeypatch.setitem(registry()._origins, ("loss", "their-loss"), Origin("more", "rsbench-more", "1"))
    monkeypatch.setattr(Loss, "odd", odd)
    recipe = {**plan.recipe, "loss": "their-loss", "loss_options": {}}
    record = run(dataclasses.replace(plan, recipe=recipe), monkeypatch, "")
    whose = "model 'their-net' is of distribution 'rsbench-theirs'; loss 'their-loss' is of distribution 'rsbench-more'"
    assert record["error"]["message"] == f"{error} ({whose})"


@pytest.mark.parametrize(
    ("odd", "changed"), [("moves", "the working directory"), ("dtype", "torch's default dtype"), ("logs", "")]
)
def test_what_a_network_changes_is_put_back_and_named_in_the_record(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch, odd: str, changed: str
) -> None:
    plain = run(dataclasses.replace(plan, out="plain"), monkeypatch, "")
    place, dtype = os.getcwd(), torch.get_default_dtype()
    record = run(plan, monkeypatch, odd)
    assert (os.getcwd(), torch.get_default_dtype()) == (place, dtype)
    assert record["artifacts"]["predictions"] == plain["artifacts"]["predictions"]
    said = [check["detail"] for check in record["checks"] if check["name"] == "observer"]
    assert said == ([f"model 'their-net' (distribution 'rsbench-theirs') changed {changed}"] if changed else [])
    logs = [{name: epoch.get(name) for name in ("nan", "text", "one")} for epoch in record["train"]["curve"]]
    assert logs == [{"nan": None, "text": None, "one": 1.0 if odd == "logs" else None}] * 2


class Moves:
    @hookimpl
    def rsbench_run_start(self, plan: Any) -> None:
        os.chdir("/")
        torch.set_num_threads(3)

    @hookimpl
    def rsbench_environment(self) -> dict[str, Any]:
        return {"fact": object()}


def test_what_a_plugin_changes_and_gives_costs_itself(plan: RunPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    registry().manager.register(Moves(), name="moves")
    try:
        record = run(plan, monkeypatch, "")
    finally:
        registry().manager.unregister(name="moves")
    assert record["status"] == "ok"
    assert [check["detail"].partition(": ")[2] for check in record["checks"] if check["name"] == "observer"] == [
        "rsbench_run_start changed the working directory",
        "rsbench_run_start changed torch's number of threads",
    ]
    assert "Object of type object is not JSON serializable" in record["env"]["plugins"]["moves"]["error"]


def test_a_record_that_cannot_be_written_is_a_failure(plan: RunPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of a plugin may find groups that JSON cannot hold."""
    kind = "rsbench.tasks.classification.task.Classification.by_group"
    monkeypatch.setattr(kind, lambda *_: {"class": {"Forest": object()}})
    record = run(plan, monkeypatch, "")
    assert record["status"] == "failed"
    assert "cannot hold this record: Object of type object is not JSON serializable" in record["error"]["message"]
    assert json.loads((Path(plan.out) / plan.run_id / store.FILE).read_text())["metrics"] == {}
