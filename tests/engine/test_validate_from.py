"""The first epoch that is scored on the validation split, and a plan that does not mention it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from one_run import one_run

from rsbench.engine.run.run import execute
from rsbench.plan import RunPlan

RECIPE = {"epochs": 4, "batch": 8, "schedule": "constant", "schedule_options": {}, "augmentation": {}}


def plan(root: Path, out: Path, **changes: Any) -> RunPlan:
    return one_run(root, out, RECIPE | changes)


def test_earlier_epochs_are_neither_scored_nor_selected(tiny_root: Path, tmp_path: Path) -> None:
    record = execute(plan(tiny_root, tmp_path, validate_from=3), lambda event: None)
    assert ["val_accuracy" in epoch for epoch in record["train"]["curve"]] == [False, False, True, True]
    assert record["train"]["selected_epoch"] in (3, 4)


def test_training_does_not_depend_on_it(tiny_root: Path, tmp_path: Path) -> None:
    losses = []
    for first in (1, 4):
        record = execute(plan(tiny_root, tmp_path, validate_from=first), lambda event: None)
        losses.append([epoch["train_loss"] for epoch in record["train"]["curve"]])
    assert losses[0] == losses[1]


def test_without_it_plans_are_what_they_were(tiny_root: Path, tmp_path: Path) -> None:
    default = plan(tiny_root, tmp_path)
    assert "validate_from" not in default.recipe
    assert plan(tiny_root, tmp_path, validate_from=1).run_id == default.run_id
    assert plan(tiny_root, tmp_path, validate_from=2).run_id != default.run_id
