"""When training stops, and which epoch's weights a record takes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from one_run import one_run
from torch import nn

from rsbench.engine.run.run import execute
from rsbench.engine.training.checkpoint_selection import Selection
from rsbench.engine.training.trainer import Trainer


@pytest.mark.parametrize(
    ("losses", "patience", "epochs"),
    [
        ([1.0, 0.8, 0.9, 0.85, 0.1, 0.1], 2, 4),
        ([1.0, 0.8, 0.8, 0.8, 0.1, 0.1], 2, 4),  # as good as the best is no better
        ([1.0, 0.8, 0.9, 0.7, 0.75, 0.71, 0.1], 2, 6),  # a better epoch begins anew
        ([1.0, 1.1, 0.1], 1, 2),
        ([1.0, 1.1, 1.2, 1.3], None, 4),
    ],
)
def test_training_stops_after_so_many_epochs_without_a_better_loss(
    losses: list[float],
    patience: int | None,
    epochs: int,
    tiny_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = iter(losses)
    monkeypatch.setattr(Trainer, "_validate", lambda self: {"val_loss": next(told), "val_accuracy": 0.5})
    recipe = {"epochs": len(losses), "batch": 8, "patience": patience, "schedule": "constant", "schedule_options": {}}
    record = execute(one_run(tiny_root, tmp_path, recipe), lambda event: None)
    assert [epoch["val_loss"] for epoch in record["train"]["curve"]] == losses[:epochs]
    assert record["train"]["epochs"] == epochs


def test_the_best_epoch_is_the_earliest_of_equals_and_a_target_is_reached_once() -> None:
    network = nn.Linear(1, 1)
    selection = Selection("best_val", "score", targets=(0.5, 0.7, 0.9))
    for epoch, score in enumerate([0.4, 0.7, 0.7, 0.6], start=1):
        nn.init.constant_(network.weight, epoch)
        selection.update({"score": score, "val_loss": 1.0}, epoch, 10.0 * epoch, network)
    assert (selection.best_epoch, selection.best_score) == (2, 0.7)
    assert selection.time_to == {"0.5": 20.0, "0.7": 20.0}
    selection.take(network)
    assert network.weight.item() == 2


def test_the_last_epoch_is_taken_where_it_is_asked_for_or_nothing_was_scored() -> None:
    network = nn.Linear(1, 1)
    last, unscored = Selection("last", "score"), Selection("best_val", "score")
    for epoch in (1, 2):
        last.update({"score": 1 / epoch, "val_loss": 1.0}, epoch, 1.0, network)
        unscored.update({}, epoch, 1.0, network)
    assert (last.best_epoch, last.weights, last.stale) == (2, None, 1)
    assert (unscored.best_epoch, unscored.best_score, unscored.stale) == (2, -math.inf, 0)


def test_a_choice_is_resumed() -> None:
    network = nn.Linear(1, 1)
    first, again = Selection("best_val", "score"), Selection("best_val", "score")
    first.update({"score": 0.5, "val_loss": 0.1}, 1, 1.0, network)
    again.load_state_dict(first.state_dict(), torch.device("cpu"))
    for selection in (first, again):
        selection.update({"score": 0.4, "val_loss": 0.2}, 2, 2.0, network)
    assert (
        (again.best_epoch, again.stale, again.best_loss)
        == (first.best_epoch, first.stale, first.best_loss)
        == (1, 1, 0.1)
    )
