from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from rsbench.engine.training.optimizers import Schedule, make_optimizer, parameter_groups
from rsbench.errors import UserError
from rsbench.specs import RecipeSpec, to_jsonable


def recipe(**changes: Any) -> dict[str, Any]:
    return to_jsonable(RecipeSpec(name="r", summary="s", lr=1.0, **changes))


def rates(epochs: int = 10, steps: int = 10, **changes: Any) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Schedule(optimizer, recipe(**changes), epochs, steps)
    found = []
    for _ in range(epochs * steps):
        found.append(schedule.lr)
        optimizer.step()
        schedule.step()
    return found


def test_groups_exempt_flat_and_named_parameters() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    decayed, exempt = parameter_groups(model, 0.1, ("norm_and_bias",))
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert len(exempt["params"]) == 4
    assert len(parameter_groups(model, 0.1, ())) == 1
    assert len(parameter_groups(model, 0.1, (r"^0\.",))[1]["params"]) == 2
    model.no_weight_decay = lambda: {"2.weight"}  # type: ignore[assignment]
    assert parameter_groups(model, 0.1, ())[1]["params"][0] is model[2].weight


def test_cosine_equals_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    expected = []
    for _ in range(100):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(schedule="cosine") == pytest.approx(expected, abs=1e-9)


def test_restarts_equal_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=3, T_mult=2)
    ours = rates(schedule="cosine_restarts", schedule_options={"first": 3, "multiply": 2})
    for step, rate in enumerate(ours):
        theirs.step(step / 10)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)


def test_other_shapes() -> None:
    assert set(rates(schedule="constant")) == {1.0}
    linear = rates(schedule="linear", schedule_options={"min_ratio": 0.1})
    assert linear[0] == 1.0
    assert linear[50] == pytest.approx(0.55)
    cycle = rates(schedule="onecycle")
    assert max(cycle) == pytest.approx(1.0)
    assert cycle.index(max(cycle)) == 30
    assert cycle[0] == pytest.approx(0.04)
    warm = rates(schedule="cosine", warmup=2.0)
    assert warm[:20] == pytest.approx([(k + 1) / 21 for k in range(20)])
    assert warm[20] == pytest.approx(1.0)


def test_plateau_lowers_after_patience() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Schedule(optimizer, recipe(schedule="plateau", schedule_options={"patience": 1, "factor": 0.5}), 5, 1)
    for loss in (1.0, 1.0, 1.0):
        schedule.epoch_end(loss)
    assert schedule.lr == 0.5


def test_unknown_names_suggest() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    with pytest.raises(UserError, match="Did you mean 'cosine'"):
        Schedule(torch.optim.SGD([parameter], lr=1.0), recipe(schedule="cosin"), 1, 1)
    with pytest.raises(UserError, match="Did you mean 'min_ratio'"):
        Schedule(torch.optim.SGD([parameter], lr=1.0), recipe(schedule_options={"min_rate": 1}), 1, 1)
    model = nn.Linear(2, 2)
    with pytest.raises(UserError, match="Did you mean 'adamw'"):
        make_optimizer(model, recipe(optimizer="adamww"))
    with pytest.raises(UserError, match="does not take these options"):
        make_optimizer(model, recipe(optimizer="sgd", optimizer_options={"momentums": 1}))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lamb"])
def test_optimizers_move_parameters(name: str) -> None:
    model = nn.Linear(2, 2)
    before = model.weight.detach().clone()
    optimizer = make_optimizer(model, recipe(optimizer=name))
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, model.weight)


def test_alpha_under_decay_alone() -> None:
    """No gradient, published schedule, 296 steps an epoch: sigmoid(alpha) is .5709 at epoch 60."""
    alpha = nn.Parameter(torch.tensor(0.5))
    optimizer = torch.optim.AdamW([alpha], lr=1e-3, weight_decay=0.05)
    options = {"first": 15, "multiply": 2}
    published = {**recipe(schedule="cosine_restarts", schedule_options=options), "lr": 1e-3}
    schedule = Schedule(optimizer, published, 60, 296)
    value = 0.5
    for _ in range(60 * 296):
        value *= 1 - schedule.lr * 0.05
        optimizer.step()
        schedule.step()
    assert 1 / (1 + math.exp(-value)) == pytest.approx(0.5709, abs=0.003)
