"""Steps on a GPU that is not there.  Gradients are made up, since torch's engine of backward passes asks the driver for
its devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fake_gpu import FOUND, NEEDED, FakeGpu, runs_gru
from rsbench_speedrun.muon import orthogonalised
from torch import nn

from rsbench.engine.training.ema import MovingAverage
from rsbench.engine.training.optimizers import make_optimizer
from rsbench.engine.training.single_device import SingleDeviceFabric
from rsbench.registry import registry
from rsbench.specs import LossSpec, RecipeSpec, load_attribute, to_jsonable
from rsbench.tasks.captioning import CaptionTargets, token_loss
from rsbench.tasks.context import LossContext
from rsbench.testing.model_trial import BATCH, ModelTrial

pytestmark = NEEDED


def networks(task: str) -> Iterator[str]:
    """Yield the shipped networks of a task; of a family its example."""
    for name, spec in registry().specs("model").items():
        if spec.kind == "network" and task in spec.tasks:
            yield name.replace("*", spec.example) if spec.resolver else name


def trial_of(name: str, task: str) -> ModelTrial:
    return ModelTrial(registry().get("model", name), task)


def needs_gru(network: nn.Module) -> None:
    if any(isinstance(module, nn.GRU) for module in network.modules()) and not runs_gru():
        pytest.skip(f"torch {torch.__version__} has no fake kernel for a GRU's fused cell")


@pytest.mark.parametrize("name", [*networks("classification")])
def test_classification(name: str) -> None:
    """Under autocast no network leaves the GPU, and neither training nor evaluation waits for it."""
    trial, gpu = trial_of(name, "classification"), FakeGpu()
    images = gpu.tensor(trial.images())
    network = gpu.module(trial.network().train())
    with gpu.at_work("bf16") as waits:
        logits = network(images)
        loss = F.cross_entropy(logits.float(), torch.zeros(BATCH, dtype=torch.int64, device="cuda"))
        with torch.inference_mode():
            evaluated = network.eval()(images)
    assert (logits.shape, logits.device.type, loss.dtype) == ((BATCH, 10), "cuda", torch.float32)
    assert (evaluated.shape, evaluated.device.type) == ((BATCH, 10), "cuda")
    assert waits.seen == []


@pytest.mark.parametrize("spec", registry().specs("loss").values(), ids=lambda spec: spec.name)
def test_losses(spec: LossSpec) -> None:
    gpu = FakeGpu()
    options = {name: option.default for name, option in spec.options.items()}
    loss = gpu.module(load_attribute(spec.factory)(LossContext(4, (1, 2, 3, 4), tuple("abcd")), **options))
    with gpu.at_work("bf16") as waits:
        targets = torch.zeros(8, dtype=torch.int64, device="cuda")
        value = loss(torch.empty(8, 4, device="cuda"), targets)
    assert (value.shape, value.dtype, value.device.type) == ((), torch.float32, "cuda")
    assert waits.seen == []


@pytest.mark.parametrize("name", [*networks("captioning")])
def test_captioning(name: str) -> None:
    """A step waits once, to know how many words there are."""
    trial, gpu = trial_of(name, "captioning"), FakeGpu(shapes=True)
    images, tokens = (gpu.tensor(t) for t in trial.arguments())
    network: Any = gpu.module(trial.network().train())
    with gpu.at_work("bf16") as waits:
        labels = torch.zeros(BATCH, dtype=torch.int64, device="cuda")
        if hasattr(network, "training_loss"):
            loss = network.training_loss(images, CaptionTargets(tokens, labels, 2), F.cross_entropy)
        else:
            loss = token_loss(F.cross_entropy, network(images, tokens), tokens)
    with gpu.at_work("bf16"), torch.inference_mode():
        logits, _ = network.step(tokens[::2, 0], network.eval().start(images))
    assert (loss.dtype, loss.device.type, logits.device.type) == (torch.float32, "cuda", "cuda")
    assert waits.seen == [FOUND]


@pytest.mark.parametrize("name", [*networks("vqa")])
def test_questions(name: str) -> None:
    trial, gpu = trial_of(name, "vqa"), FakeGpu()
    arguments = [gpu.value(argument) for argument in trial.arguments()]
    network = gpu.module(trial.network().train())
    needs_gru(network)
    with gpu.at_work("bf16") as waits:
        given = network(*arguments)
    logits = given[0] if isinstance(given, tuple) else given
    assert logits.device.type == "cuda"
    assert waits.seen == []


def test_recurrent_layers_of_questions_are_taken_in_full() -> None:
    """Autocast would have them in float16, whose gradients nothing scales where a run is in bfloat16."""
    trial, gpu = trial_of("question-only", "vqa"), FakeGpu()
    words: Any = gpu.module(trial.network().train()).words
    needs_gru(words)
    tokens = gpu.tensor(trial.arguments()[1].tokens)
    with gpu.at_work("bf16"):
        alone, states = words.gru(words.embed(tokens))[0], words(tokens)
    assert (alone.dtype, states.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_optimizers_and_the_moving_average(name: str) -> None:
    """What follows a backward pass hands over its work and goes on."""
    gpu = FakeGpu()
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    average = MovingAverage(network, 0.9)
    del average.n_averaged  # a tensor on the CPU
    average.n_averaged = 1  # type: ignore[assignment]
    for module in (network, average.module):
        gpu.module(module)
    with gpu.mode:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
    optimizer = make_optimizer(network, to_jsonable(RecipeSpec(name="r", summary="s", optimizer=name)))
    alone = SingleDeviceFabric(torch.device("cuda"), "bf16")
    with gpu.at_work() as waits:
        for _ in range(3):
            alone.clip_gradients(network, optimizer, 1.0)
            optimizer.step()
            average.update_parameters(network)
    assert waits.seen == []
    assert average.n_averaged == 4


def test_muon() -> None:
    gpu = FakeGpu()
    gradient = gpu.tensor(torch.randn(8, 18))
    with gpu.at_work() as waits:
        step = orthogonalised(gradient, 3)
    assert (step.shape, step.dtype, step.device.type) == (gradient.shape, torch.float32, "cuda")
    assert waits.seen == []


def test_a_wait_is_noticed() -> None:
    """The notes that the other tests find empty: each of these operations is one."""
    gpu, real = FakeGpu(shapes=True), torch.arange(4.0)
    numbers = gpu.tensor(real)
    calls: list[Callable[[], Any]] = [
        lambda: torch.arange(3).to("cuda"),
        lambda: numbers[numbers > 1],
        lambda: numbers[torch.tensor([1, 2])],
        lambda: (numbers > 1).nonzero(),
        lambda: numbers.cpu(),
        lambda: numbers.sum().item(),
    ]
    for call in calls:
        with gpu.at_work() as waits:
            call()
        assert waits.seen
    with gpu.at_work() as waits:
        torch.arange(3).to("cuda", non_blocking=True)
        numbers.masked_fill(numbers > 1, 0.0)
    assert waits.seen == []
