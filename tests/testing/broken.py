"""Thirteen plugins, each with one fault, and a sound one to which the fault is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HEAD = """
import os, types
from rsbench import hookimpl
from rsbench.specs import Accepts, Band, DatasetSpec, LossSpec, MetricSpec, ModelSpec, Option, ProtocolSpec

"""

MODEL = """
@hookimpl
def rsbench_models():
    yield ModelSpec(name="{name}", summary="A network.", factory="{code}:build", accepts=Accepts(min_size=4))
"""

NETWORK = """
import os
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.convolution = nn.Conv2d(channels, 8, 3, padding=1)
        self.linear = nn.Linear(8, classes)

    def forward(self, images):
        return self.linear(self.convolution(images).relu().mean((2, 3)))

def build(context):
    return Network(context.channels, context.num_classes)
"""

DATASET = """
@hookimpl
def rsbench_datasets():
    bands = tuple(Band(name=n, mean=128.0, std=74.0, min=0, max=255) for n in ("red", "green", "blue"))
    yield DatasetSpec(
        name="{name}", summary="Noise.", source="{code}:Noise", classes=("a", "b"), bands=bands, image_size=8,
        samples=60, class_counts=(30, 30), generated=True, default_protocol="{name}-split", license="MIT",
    )

@hookimpl
def rsbench_protocols():
    yield ProtocolSpec(
        name="{name}-split", summary="Thirds.", dataset="{name}", split="rsbench.data.splits:from_column",
        recipe="scenes-short",
    )
"""

SOURCE = """
import numpy as np

class Noise:
    shape, dtype, classes = (3, 8, 8), "uint8", ("a", "b")

    def __init__(self, root, spec):
        self.image_ids = [f"image {i}" for i in range(60)]
        parts = [("train", "val", "test")[i % 3] for i in range(60)]
        self.columns = {"id": self.image_ids, "label": [i // 30 for i in range(60)], "official_split": parts}

    def number(self, i):
        return i

    def read(self, start, stop, out):
        for i in range(start, stop):
            out[i - start] = np.random.default_rng(self.number(i)).integers(0, 256, self.shape)
"""

METRIC = """
@hookimpl
def rsbench_metrics():
    paths = dict(factory="{code}:Accuracy", golden="{code}:golden")
    yield MetricSpec(name="{name}", summary="Accuracy.", proportion=True, **paths)
"""

ACCURACY = """
import numpy as np
from rsbench.metrics.contract import Golden, MeanMetric, MetricContext
from rsbench.tasks.classification import Predictions

class Accuracy(MeanMetric):
    def __init__(self, context):
        pass

    def statistics(self, predictions, references):
        return (predictions.labels == references).astype(np.float64)[:, None]

    def reduce(self, statistics):
        return float(statistics.mean())

def golden(spec):
    yield Golden(Predictions(["a", "b"], np.array([0, 1])), np.array([0, 1]), 1.0, MetricContext("classification"))
"""

LOSS = """
@hookimpl
def rsbench_losses():
    weights = Option(default=None, help="one for each class")
    yield LossSpec(name="{name}", summary="Cross entropy.", factory="{code}:build", options={{"class_weights": weights}})
"""

CROSS_ENTROPY = """
import torch
from torch import nn

def build(context, class_weights=None):
    return nn.CrossEntropyLoss(weight=None if class_weights is None else torch.tensor(class_weights))
"""

PARTS = {
    "model": (MODEL, NETWORK),
    "dataset": (DATASET, SOURCE),
    "metric": (METRIC, ACCURACY),
    "loss": (LOSS, CROSS_ENTROPY),
}


@dataclass(frozen=True)
class Broken:
    """A sound plugin of a *kind* in which *old* is replaced by *new*; *check* is what must name the fault."""

    kind: str
    old: str
    new: str
    check: str
    says: str


POOLED = "self.linear(self.convolution(images).relu().mean((2, 3)))"
CASES = {
    "wrong-shape": Broken("model", f"return {POOLED}", f"return {POOLED}[:, 1:]", "shape", r"\[3, 9\] where \[3, 10\]"),
    "nan-gradient": Broken(
        "model",
        f"return {POOLED}",
        "x = self.convolution(images).relu().mean((2, 3))\n        return self.linear(x + 0 * (x - x).sqrt())",
        "finite-gradients",
        "the gradient of convolution.weight, convolution.bias is not finite",
    ),
    "dead-parameter": Broken(
        "model",
        "self.linear = nn.Linear(8, classes)",
        "self.linear = nn.Linear(8, classes)\n        self.unused = nn.Parameter(torch.ones(3))",
        "gradients",
        "no gradient reaches unused",
    ),
    "non-deterministic": Broken(
        "model",
        f"return {POOLED}",
        f"return {POOLED} + int.from_bytes(os.urandom(2), 'big') / 65536",
        "deterministic",
        "outputs in training mode are other ones under the same seed",
    ),
    "mutates-input": Broken(
        "model",
        f"return {POOLED}",
        f"images.mul_(0.5)\n        return {POOLED}",
        "input-unchanged",
        "changed its input",
    ),
    "no-facts": Broken(
        "model",
        "@hookimpl\ndef rsbench_models():",
        "@hookimpl\ndef rsbench_environment():\n    return dict(path=os)\n\n@hookimpl\ndef rsbench_models():",
        "hooks",
        "rsbench_environment raised TypeError: Object of type module is not JSON serializable",
    ),
    "leaks-test": Broken(
        "dataset",
        "return i",
        "return 0 if i in (0, 2) else i",
        "splits",
        "'image 2' of test is image 'image 0' of train",
    ),
    "repeated-ids": Broken("dataset", 'f"image {i}"', 'f"image {i // 2}"', "ids", "sample id 'image 0' occurs twice"),
    "wrong-statistics": Broken(
        "dataset", "mean=128.0", "mean=87.0", "statistics", "mean=87.0 of band 'red' is declared"
    ),
    "out-of-range": Broken("metric", "statistics.mean())", "statistics.mean() * 100)", "range", r"outside of \[0, 1\]"),
    "no-proportion": Broken(
        "metric",
        "astype(np.float64)[:, None]",
        "astype(np.float64)[:, None] / 2",
        "proportion",
        "not one 0 or 1 a sample",
    ),
    "wrong-derivatives": Broken(
        "metric",
        "    def statistics(",
        "    def gradient(self, totals, n):\n        return np.full(1, 2 / n)\n\n    def statistics(",
        "derivatives",
        "off for a sample",
    ),
    "ignores-weights": Broken(
        "loss",
        "weight=None if class_weights is None else torch.tensor(class_weights)",
        "weight=None",
        "weights",
        "a weight of 5 changes the part of a class in the gradient by 1",
    ),
    "torch-at-top": Broken(
        "model", "import os, types", "import os, torch, types", "light-import", "loading it imports torch"
    ),
    "unpicklable": Broken(
        "model",
        "accepts=Accepts(min_size=4)",
        "accepts=Accepts(min_size=4), options=types.MappingProxyType({{}})",
        "picklable",
        "cannot be pickled",
    ),
}


def install(site: Path, name: str, kind: str, old: str = "", new: str = "") -> None:
    """Install a plugin of a kind below *site*, with *old* replaced by *new*."""
    plugin, code = PARTS[kind]
    top, below = HEAD + plugin, code
    if old:
        assert (top + below).count(old) == 1, f"{old} is not there once"
        top, below = top.replace(old, new), below.replace(old, new)
    module = f"plugin_{name.replace('-', '_')}"
    (site / f"{module}.py").write_text(top.format(name=name, code=f"{module}_code"))
    (site / f"{module}_code.py").write_text(below)
    info = site / f"dist_{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rsbench]\n{name} = {module}\n")
