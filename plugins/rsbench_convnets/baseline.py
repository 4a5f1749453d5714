"""The 3-layer baseline."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench_convnets.init import initialize


def baseline_cnn(context: ModelContext) -> nn.Sequential:
    """Build the baseline for images [B, C, 64, 64].

    Three times [conv 3x3, BatchNorm, ReLU, max-pool 2] with 32, 64, 128 channels, then linear 512, dropout .5 and the
    classifier.  There is no activation between the two linear layers in the author's code, and none here.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = context.channels
    for i, width in enumerate((32, 64, 128), start=1):
        layers[f"conv{i}"] = nn.Conv2d(channels, width, 3, padding=1)
        layers[f"bn{i}"] = nn.BatchNorm2d(width)
        layers[f"relu{i}"] = nn.ReLU(inplace=True)
        layers[f"pool{i}"] = nn.MaxPool2d(2)
        channels = width
    layers["flatten"] = nn.Flatten()
    layers["hidden"] = nn.Linear(128 * (context.size // 8) ** 2, 512)
    layers["dropout"] = nn.Dropout(0.5)
    layers["classifier"] = nn.Linear(512, context.num_classes)
    network = nn.Sequential(layers)
    initialize(network)
    return network
