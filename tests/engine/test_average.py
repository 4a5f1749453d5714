"""The moving average of weights, against torch's own."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rsbench.engine.training.ema import MovingAverage

DECAY = 0.9


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    made.register_buffer("table", torch.arange(1000))
    return made


def move(model: nn.Module) -> None:
    """Change every weight and statistic, as a step does."""
    model(torch.randn(5, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))


def test_floats_are_those_of_torch_and_integers_stay_whole() -> None:
    model = network()
    ours, theirs = (
        MovingAverage(model, DECAY),
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True),
    )
    for _ in range(4):
        ours.update_parameters(model)
        theirs.update_parameters(model)
        move(model)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for name, tensor in ours.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, expected[name]), name
    assert int(ours.n_averaged) == int(theirs.n_averaged) == 4
    assert torch.equal(ours.module.get_buffer("table"), torch.arange(1000))
    assert not torch.equal(theirs.module.get_buffer("table"), torch.arange(1000)), "torch repairs it: use its own"
    assert int(ours.module[1].num_batches_tracked) == 3  # type: ignore[index]


def test_a_state_goes_on() -> None:
    model = network()
    whole, first = MovingAverage(model, DECAY), MovingAverage(model, DECAY)
    for average in (whole, first):
        average.update_parameters(model)
    second = MovingAverage(network(), DECAY)
    second.load_state_dict(first.state_dict())
    move(model)
    for average in (whole, second):
        average.update_parameters(model)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
