"""The initialization that the three networks share."""

from __future__ import annotations

from torch import nn


def initialize(network: nn.Module) -> None:
    """Convolutions Kaiming-normal (fan out, ReLU), BatchNorm 1/0, linear layers N(0, 0.01), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
