"""Multiply-accumulates: of layers by hand, in the record of a run, and counted anew from its plan."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from one_run import one_run
from torch import nn

from rsbench.engine.run.recount import count_macs_of_plan
from rsbench.engine.run.run import execute
from rsbench.engine.step.count_macs import count_macs
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.tasks.context import ModelContext

SMALL = {"dim": 32, "depth": 1, "heads": 2, "mlp": 64, "input_size": 32, "text_layers": 1}


def test_macs_of_a_small_network_by_hand() -> None:
    """Conv 3 -> 4, 3 x 3 on 8 x 8: 6 * 6 * 4 * 27; depthwise 4, 3 x 3: 4 * 4 * 4 * 9; linear 64 -> 5: 320."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.Flatten(), nn.Linear(64, 5))
    expected = 6 * 6 * 4 * 27 + 4 * 4 * 4 * 9 + 64 * 5
    with torch.no_grad():
        assert count_macs(lambda: network(torch.zeros(1, 3, 8, 8))) == expected
        assert count_macs(lambda: network(torch.zeros(7, 3, 8, 8))) == 7 * expected


def test_macs_of_layers_that_run_as_one_fused_operation() -> None:
    """Counted as nothing on their fast paths: an LSTM, 4 gates; attention with its projections and two linear layers."""
    lstm = nn.LSTM(8, 16).eval()
    encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    with torch.no_grad():
        assert count_macs(lambda: lstm(torch.zeros(3, 2, 8))) == 3 * 2 * (8 + 16) * 4 * 16
        length, width = 5, 16
        projections, products = 4 * length * width * width, 2 * length * length * width
        assert count_macs(lambda: encoder(torch.zeros(1, 5, 16))) == projections + products + 2 * length * width * 32


def test_macs_of_a_module_that_is_given_a_parameter() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.same = nn.Embedding(5, 4), nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.same(self.table.weight).T

    network = Tied()
    with torch.inference_mode():
        assert count_macs(lambda: network(torch.zeros(3, 4))) == 3 * 4 * 5


def test_counting_leaves_the_fast_paths_on() -> None:
    count_macs(lambda: None)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mkldnn.enabled


class Rows(nn.Module):
    """Reads the 64 rows of an image, 192 numbers each, one after another, with layers that run as one operation."""

    def __init__(self, classes: int, layers: nn.Module, width: int) -> None:
        super().__init__()
        self.layers, self.head = layers, nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        read = self.layers(images.transpose(1, 2).flatten(2))
        return self.head((read[0] if isinstance(read, tuple) else read).mean(1))


def recurrent(context: ModelContext) -> nn.Module:
    return Rows(context.num_classes, nn.LSTM(192, 16, batch_first=True), 16)


def gated(context: ModelContext) -> nn.Module:
    return Rows(context.num_classes, nn.GRU(192, 16, batch_first=True), 16)


def attentive(context: ModelContext) -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return Rows(context.num_classes, nn.Sequential(nn.Linear(192, 16), encoder), 16)


def refusing(context: ModelContext) -> nn.Module:
    class Refusing(Rows):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if len(images) == 1:
                raise ValueError("one image is none")
            return super().forward(images)

    return Refusing(context.num_classes, nn.Linear(192, 16), 16)


ROWS, HEAD = 64, 16 * 10
LAYER = 4 * ROWS * 16 * 16 + 2 * ROWS * ROWS * 16 + 2 * ROWS * 16 * 32  # projections, attention, perceptron


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("factory", "macs"),
    [
        (recurrent, ROWS * (192 + 16) * 4 * 16 + HEAD),
        (gated, ROWS * (192 + 16) * 3 * 16 + HEAD),
        (attentive, ROWS * 192 * 16 + 2 * LAYER + HEAD),
        (refusing, None),
    ],
)
def test_a_record_has_the_work_of_one_sample(
    tiny_root: Path, tmp_path: Path, factory: Any, macs: int | None, precision: str
) -> None:
    """Those of a product of [n, m] with [m, k] are n m k, half its FLOPs; what cannot be counted costs no record."""
    plan = one_run(tiny_root, tmp_path, {"epochs": 1, "batch": 16, "precision": precision})
    plan = dataclasses.replace(plan, model={**plan.model, "factory": f"{__name__}:{factory.__name__}"})
    record = execute(plan, lambda event: None)
    assert record["status"] == "ok", record["error"]
    assert record["perf"]["macs"] == macs
    assert count_macs_of_plan(record["plan"], record["perf"]["params"], tmp_path / "no data") == macs


def text_plan(root: Path, out: Path, model: str, dataset: str, options: dict[str, Any]) -> RunPlan:
    changes = {"epochs": 1, "batch": 8, "precision": "fp32"}
    settings: dict[str, Any] = {"changes": changes, "seeds": (0,), "threads": 1, "device": "cpu"}
    request = RunRequest(models=((model, options),), dataset=dataset, data_root=root, out=str(out), **settings)
    return expand(request)[0]


@pytest.mark.parametrize("model", ["vgg19-lstm", "spatialnet-vit"])
def test_words_that_no_plan_holds_come_from_the_number_of_parameters(
    text_root: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no Java
    small = {"backbone": "timm:test_resnet", "width": 16, "weights": "none"} if model == "vgg19-lstm" else SMALL
    record = execute(text_plan(text_root, tmp_path, model, "ucm-captions", small), lambda event: None)
    plan, perf = json.loads(Path(record["path"]).read_text())["plan"], record["perf"]
    nowhere = tmp_path / "no data"
    assert count_macs_of_plan(plan, perf["params"], text_root) == perf["macs"] > 0
    assert count_macs_of_plan(plan, perf["params"], nowhere) == perf["macs"]
    assert count_macs_of_plan(plan, perf["params"] + 1, nowhere) is None
    assert count_macs_of_plan(plan, None, nowhere) is None


def test_questions_are_counted_where_their_data_are(text_root: Path, tmp_path: Path) -> None:
    record = execute(text_plan(text_root, tmp_path, "spatialnet-vit", "rsvqa-lr", SMALL), lambda event: None)
    plan, perf = record["plan"], record["perf"]
    assert count_macs_of_plan(plan, perf["params"], text_root) == perf["macs"] > 0
    assert count_macs_of_plan(plan, perf["params"], tmp_path / "no data") is None
    gone = {**plan, "model": {**plan["model"], "factory": "no_such_plugin:network"}}
    assert count_macs_of_plan(gone, perf["params"], text_root) is None
    fitted = {**plan, "model": {**plan["model"], "kind": "estimator"}}
    assert count_macs_of_plan(fitted, None, text_root) is None
