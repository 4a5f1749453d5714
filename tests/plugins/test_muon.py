from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from rsbench_speedrun.muon import Muon, orthogonalised
from torch import nn

from rsbench.engine.training.optimizers import Schedule, make_optimizer
from rsbench.errors import UserError
from rsbench.specs import RecipeSpec, to_jsonable

Array = np.ndarray


def iterated(matrix: Array, iterations: int) -> Array:
    """Newton and Schulz through the singular values: the polynomial acts on each of them alone."""
    left, values, right = np.linalg.svd(matrix / np.linalg.norm(matrix), full_matrices=False)
    for _ in range(iterations):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ np.diag(values) @ right


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 4))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        torch.manual_seed(seed)
        nn.functional.cross_entropy(model(torch.randn(6, 3, 8, 8)), torch.arange(6) % 4).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("shape", [(8, 27), (32, 16)])
def test_orthogonalised_acts_on_singular_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(*shape)
    found = orthogonalised(matrix, 3)
    assert np.allclose(found.numpy(), iterated(matrix.double().numpy(), 3), atol=1e-4)
    values = torch.linalg.svdvals(orthogonalised(matrix, 6))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_filters_follow_the_rule_and_the_rest_follows_adamw() -> None:
    model, twin = network(), network()
    ours = Muon(model.parameters(), lr=0.01, filter_rate=5.0, momentum=0.6, iterations=3, weight_decay=0.1)
    theirs = torch.optim.AdamW(list(twin.parameters())[1:], lr=0.01, weight_decay=0.1)
    filters, average = twin[0].weight.detach().double().numpy().copy(), np.zeros((8, 27))
    for seed in range(3):
        twin[0].weight.data.copy_(torch.from_numpy(filters))
        train(model, ours, range(seed, seed + 1))
        torch.manual_seed(seed)
        nn.functional.cross_entropy(twin(torch.randn(6, 3, 8, 8)), torch.arange(6) % 4).backward()
        gradient = twin[0].weight.grad.double().numpy().reshape(8, 27)  # type: ignore[union-attr,operator]
        theirs.step()
        twin.zero_grad()
        average = 0.6 * average + 0.4 * gradient
        step = iterated(0.4 * gradient + 0.6 * average, 3).reshape(filters.shape)
        filters = filters * np.sqrt(8) / np.linalg.norm(filters) - 0.05 * step
    assert np.allclose(model[0].weight.detach().numpy(), filters, atol=1e-4)
    for mine, other in zip(list(model.parameters())[1:], list(twin.parameters())[1:], strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


def test_a_loaded_state_goes_on_with_the_same_steps() -> None:
    model = network()
    optimizer = Muon(model.parameters(), lr=0.01)
    train(model, optimizer, range(2))
    other = copy.deepcopy(model)
    resumed = Muon(other.parameters(), lr=0.01)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, range(2, 4))
    train(other, resumed, range(2, 4))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def recipe(**changes: Any) -> dict[str, Any]:
    return to_jsonable(RecipeSpec(name="r", summary="s", optimizer="filter-muon", **changes))


def test_a_recipe_names_it_and_its_schedule_slows_filters() -> None:
    model = network()
    made = recipe(lr=0.01, schedule="linear", weight_decay=0.1, optimizer_options={"filter_rate": 5.0})
    optimizer = make_optimizer(model, made)
    assert isinstance(optimizer, Muon)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.1, 0.0]
    schedule, moved = Schedule(optimizer, made, 1, 4), []
    for seed in range(4):
        weight = model[0].weight.detach()
        before = weight * np.sqrt(8) / weight.norm()
        train(model, optimizer, range(seed, seed + 1))
        moved.append(float((model[0].weight.detach() - before).norm()))
        schedule.step()
    assert moved == pytest.approx([moved[0] * f for f in (1, 0.75, 0.5, 0.25)], rel=0.15)


def test_options_it_does_not_have_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="filter-muon"):
        make_optimizer(network(), recipe(optimizer_options={"speed": 1}))
    with pytest.raises(ValueError, match="closure"):
        Muon(network().parameters(), lr=0.1).step(lambda: 0.0)
