"""Checks of a loss over logits [B, K] and targets [B]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from rsbench.specs import LossSpec, load_attribute
from rsbench.tasks.context import LossContext
from rsbench.testing.contract import CheckFailure, Checks, Group, NotApplicable, require

CHECKS: Final = Checks()
CLASSES: Final = 5
SAMPLES: Final = 12
WEIGHTS: Final = ("class_weights", "weights", "weight")


def groups(spec: LossSpec) -> Iterator[Group]:
    """Yield the checks of a loss over logits; those of other inputs are only looked at as declared."""
    if "logits" in spec.needs:
        yield Group(spec.name, CHECKS, lambda: LossTrial(spec))


@dataclass
class LossTrial:
    """A loss for five classes, in float64."""

    spec: LossSpec

    def loss(self, options: Mapping[str, Any] | None = None, counts: Sequence[int] = (30, 25, 20, 15, 10)) -> Any:
        """Call the factory as a run does, with the default *options* but those given."""
        context = LossContext(CLASSES, tuple(counts), tuple(f"class {k}" for k in range(CLASSES)))
        values = {name: option.default for name, option in self.spec.options.items()} | dict(options or {})
        made = load_attribute(self.spec.factory)(context, **values)
        return made.double() if isinstance(made, torch.nn.Module) else made

    @property
    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits float64 [12, 5] and targets int64 [12], every class among them."""
        generator = torch.Generator().manual_seed(5)
        logits = 2 * torch.randn(SAMPLES, CLASSES, generator=generator, dtype=torch.float64)
        return logits, torch.arange(SAMPLES) % CLASSES

    def gradient(self, loss: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the logits."""
        logits = logits.clone().requires_grad_(True)
        (found,) = torch.autograd.grad(loss(logits, targets), logits)
        return found


@CHECKS(
    "scalar",
    reason="the engine steps on one number, the mean over the batch",
    remedy="return the mean, a tensor without dimensions",
)
def scalar(trial: LossTrial) -> None:
    """One finite float; of twice the same batch it is the same."""
    logits, targets = trial.batch
    loss = trial.loss()
    value = loss(logits, targets)
    require(isinstance(value, torch.Tensor) and value.ndim == 0, "it does not return a tensor without dimensions")
    require(torch.isfinite(value), f"it is {float(value)}")
    twice = loss(logits.repeat(2, 1), targets.repeat(2))
    require(torch.allclose(value, twice), "of a batch repeated twice it is another one: it is no mean over samples")
    order = torch.arange(SAMPLES - 1, -1, -1)
    require(torch.allclose(value, loss(logits[order], targets[order])), "it depends on the order of the samples")


@CHECKS(
    "finite",
    reason="a network that is very sure, or very wrong, must not end its training",
    remedy="use log_softmax and clamp what is divided by or raised to a power",
)
def finite(trial: LossTrial) -> None:
    """Value and gradient are finite for logits from 0 to 100 and for a single sample, in float32."""
    _, targets = trial.batch
    sure = torch.nn.functional.one_hot(targets, CLASSES).float()
    loss = trial.loss()
    loss = loss.float() if isinstance(loss, torch.nn.Module) else loss
    for scale in (0.0, 1.0, 100.0, -100.0):
        logits = scale * sure
        for part in (slice(None), slice(0, 1)):
            value, slope = loss(logits[part], targets[part]), trial.gradient(loss, logits[part], targets[part])
            require(torch.isfinite(value), f"it is {float(value)} for logits of {scale:g}")
            require(torch.isfinite(slope).all(), f"its gradient is not finite for logits of {scale:g}")


@CHECKS(
    "gradient",
    reason="a gradient that is not that of the value trains something else",
    remedy="detach nothing on the way that depends on the logits, or mend the backward of your autograd function",
)
def gradient(trial: LossTrial) -> None:
    """The gradient is that of finite differences."""
    logits, targets = trial.batch
    loss = trial.loss()
    try:
        torch.autograd.gradcheck(lambda x: loss(x, targets), (logits.requires_grad_(True),), atol=1e-6, rtol=1e-4)
    except RuntimeError as error:
        raise CheckFailure(f"it differs from finite differences: {' '.join(str(error).split())[:160]}") from None


@CHECKS(
    "direction",
    reason="a lower loss has to mean a better prediction",
    remedy="look at the sign",
)
def direction(trial: LossTrial) -> None:
    """Being right with more certainty costs less."""
    _, targets = trial.batch
    one_hot = torch.nn.functional.one_hot(targets, CLASSES).double()
    wrong, unsure, right = (float(trial.loss()(scale * one_hot, targets)) for scale in (-2.0, 0.0, 2.0))
    require(wrong > unsure > right, f"it is {wrong:.4g} when wrong, {unsure:.4g} when unsure, {right:.4g} when right")


@CHECKS(
    "input-unchanged",
    reason="logits are used again for the training accuracy",
    remedy="do not use operations whose names end in _",
)
def input_unchanged(trial: LossTrial) -> None:
    """Logits and targets are as before."""
    logits, targets = trial.batch
    before = logits.clone(), targets.clone()
    trial.loss()(logits, targets)
    require(torch.equal(logits, before[0]) and torch.equal(targets, before[1]), "it changed its input")


@CHECKS(
    "weights",
    reason="class weights that have no effect make two recipes one",
    remedy="multiply each sample's loss by the weight of its class",
)
def weights(trial: LossTrial) -> None:
    """With a weight of 5, a class has five times the part in the gradient that it has with 1."""
    name = next((n for n in WEIGHTS if n in trial.spec.options), None)
    if name is None:
        raise NotApplicable("it has no option " + ", ".join(WEIGHTS))
    _, targets = trial.batch
    plain = _norms(trial, trial.loss({name: [1.0] * CLASSES}))
    heavy = _norms(trial, trial.loss({name: [5.0] + [1.0] * (CLASSES - 1)}))
    change = heavy / plain
    found = float(change[targets == 0].mean() / change[targets != 0].mean())
    require(abs(found - 5) < 1e-3, f"a weight of 5 changes the part of a class in the gradient by {found:.4g}")


@CHECKS(
    "class-counts",
    reason="a loss that asks for class counts and does not use them is the plain one under another name",
    remedy="use context.class_counts, or leave class_counts out of needs",
)
def class_counts(trial: LossTrial) -> None:
    """Other counts give another gradient."""
    if "class_counts" not in trial.spec.needs:
        raise NotApplicable("it needs no class counts")
    balanced, skewed = (_norms(trial, trial.loss(counts=counts)) for counts in ((20,) * CLASSES, (500, 100, 20, 5, 1)))
    require(not torch.allclose(balanced / balanced.sum(), skewed / skewed.sum()), "class counts have no effect")


def _norms(trial: LossTrial, loss: Any) -> torch.Tensor:
    """Length of the gradient of each sample's logits, float64 [B]."""
    return trial.gradient(loss, *trial.batch).norm(dim=1)
