"""Checks of a network: shapes, sizes, gradients, precision, weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import torch
from torch import nn

from rsbench.errors import first_of
from rsbench.testing.contract import CheckFailure, Checks, NotApplicable, require
from rsbench.testing.model_trial import BATCH, ModelTrial

CHECKS: Final = Checks()
STEPS: Final = 3
COUNTED_SIZE: Final = 64  # where the declared number of parameters is counted
EMULATED_SIZE: Final = 32  # where bfloat16 is tried


@CHECKS(
    "shape",
    reason="a row of the wrong length is scored as if it were of another class",
    remedy="return float logits of the shape that the task's contract in rsbench.tasks states",
)
def shape(trial: ModelTrial) -> None:
    """Outputs have the task's shape, are floats and finite."""
    with torch.no_grad():
        trial.outputs(trial.built, trial.arguments())


@CHECKS(
    "batch-of-one",
    reason="the last batch of an evaluation may hold one image",
    remedy="do not squeeze the batch dimension, nor drop it where it is 1",
)
def batch_of_one(trial: ModelTrial) -> None:
    """One image goes forward and backward; in evaluation mode, since BatchNorm cannot train on one value."""
    model = trial.network().eval()
    trial.outputs(model, trial.arguments(1))
    _finite_gradients(model, trial.synthetic.loss(model, trial.arguments(1)))


@CHECKS(
    "sizes",
    reason="a model that declares any size is run on the sizes of other people's datasets, odd ones too",
    remedy="mend the network, or declare accepts.size, or a larger accepts.min_size",
)
def sizes(trial: ModelTrial) -> None:
    """The smallest declared size and an odd one go forward and backward."""
    if trial.spec.accepts.size is not None:
        raise NotApplicable(f"it declares one size, {trial.spec.accepts.size}")
    for size in {trial.spec.accepts.min_size, trial.size // 2 * 2 + 5}:
        try:
            model = trial.network(size=size).eval()
            arguments = trial.arguments(size=size)
            trial.outputs(model, arguments)
            _finite_gradients(model, trial.synthetic.loss(model, arguments))
        except Exception as error:
            raise CheckFailure(f"images of {size} pixels: {type(error).__name__}: {_line(error)}") from error


@CHECKS(
    "channels",
    reason="a model that declares any number of bands is run on radar (2) and multispectral images (13)",
    remedy="take the number from context.channels, or declare accepts.channels",
)
def channels(trial: ModelTrial) -> None:
    """Two and five bands go forward."""
    if trial.spec.accepts.channels is not None:
        raise NotApplicable(f"it declares {trial.spec.accepts.channels} bands")
    for count in (2, 5):
        try:
            model = trial.network(channels=count).eval()
            with torch.no_grad():
                trial.outputs(model, trial.arguments(channels=count))
        except Exception as error:
            raise CheckFailure(f"images of {count} bands: {type(error).__name__}: {_line(error)}") from error


@CHECKS(
    "finite-gradients",
    reason="one gradient that is not finite ends a training, often after hours",
    remedy="look for a division, a logarithm or a root at 0, and a softmax over nothing",
)
def finite_gradients(trial: ModelTrial) -> None:
    """Loss and gradients of a training batch are finite."""
    model = trial.network().train()
    _finite_gradients(model, trial.synthetic.loss(model, trial.arguments()))


@CHECKS(
    "gradients",
    reason="a parameter that never learns is counted, saved and decayed for nothing, and is often a bug",
    remedy="use it in forward, freeze it (requires_grad_(False)), or register it as a buffer",
)
def gradients(trial: ModelTrial) -> None:
    """Within a few steps a gradient that is not 0 reaches every trainable parameter."""
    model = trial.network().train()
    free = {name: p for name, p in model.named_parameters() if p.requires_grad}
    reached: set[str] = set()
    optimizer = torch.optim.SGD(free.values(), lr=1e-3) if free else None
    for _ in range(STEPS):
        if optimizer is None or len(reached) == len(free):
            break
        optimizer.zero_grad(set_to_none=True)
        trial.synthetic.loss(model, trial.arguments(BATCH + 1)).backward()
        reached |= {name for name, p in free.items() if p.grad is not None and p.grad.any()}
        optimizer.step()
    dead = [name for name in free if name not in reached]
    require(not dead, f"no gradient reaches {first_of(dead)}")


@CHECKS(
    "input-unchanged",
    reason="the engine and other models use the same buffers",
    remedy="write x = x + ... in place of x += ..., and no inplace=True on the input itself",
)
def input_unchanged(trial: ModelTrial) -> None:
    """Neither mode writes into its arguments."""
    for mode in (True, False):
        model = trial.network().train(mode)
        arguments = trial.arguments(BATCH)
        before = [t.clone() for t in tensors(arguments)]
        with torch.no_grad():
            trial.synthetic.outputs(model, arguments)
        same = all(torch.equal(a, b) for a, b in zip(before, tensors(arguments), strict=True))
        require(same, f"forward in {'training' if mode else 'evaluation'} mode changed its input")


@CHECKS(
    "state-dict",
    reason="what is not in the state dict is lost with every checkpoint",
    remedy="keep what is learned or counted in parameters and registered buffers",
)
def state_dict(trial: ModelTrial) -> None:
    """Weights written as the engine does go into a network of another seed, which then gives the same outputs."""
    from safetensors.torch import load_file

    from rsbench.engine.training.checkpoint import save

    model = trial.network()
    model.train()
    with torch.no_grad():
        trial.synthetic.outputs(model, trial.arguments())  # BatchNorm and the like now differ from a new network's
        expected = trial.synthetic.outputs(model.eval(), trial.arguments())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            save(model.state_dict(), path, {"format": "pt"})
            other = trial.network(seed=1).eval()
            other.load_state_dict(load_file(path))
        found = trial.synthetic.outputs(other, trial.arguments())
    require(close(found, expected), f"outputs differ by up to {_gap(found, expected):.3g} after loading")


@CHECKS(
    "bf16",
    reason="on most accelerators the engine trains in bfloat16",
    remedy="do sums and exponentials in float32, and give masks values that bfloat16 holds",
)
def bf16(trial: ModelTrial) -> None:
    """Under autocast to bfloat16, loss and gradients are finite."""
    # Few and small images: a CPU without bfloat16 takes its time.
    size = trial.spec.accepts.size or max(EMULATED_SIZE, trial.spec.accepts.min_size)
    model = trial.network(size=size).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = trial.synthetic.loss(model, trial.arguments(2, size=size))
    _finite_gradients(model, loss)


@CHECKS(
    "channels-last",
    reason="the engine gives networks and images the channels-last layout",
    remedy="use reshape in place of view",
)
def channels_last(trial: ModelTrial) -> None:
    """Another memory layout gives the same outputs."""
    model = trial.network().eval()
    images = trial.images()
    with torch.no_grad():
        expected = trial.outputs(model, trial.synthetic.arguments(images))
        model = model.to(memory_format=torch.channels_last)
        laid_out = images.contiguous(memory_format=torch.channels_last)
        found = trial.outputs(model, trial.synthetic.arguments(laid_out))
    require(close(found, expected), f"outputs differ by up to {_gap(found, expected):.3g}")


@CHECKS(
    "parameters",
    reason="boards compare models by their size",
    remedy="set params to the number that is named",
)
def parameters(trial: ModelTrial) -> None:
    """The declared number of parameters is that at three bands and ten classes."""
    spec = trial.spec
    if spec.params is None:
        raise NotApplicable("no number is declared")
    if set(spec.test_options) - {"weights"}:
        raise NotApplicable("the kit builds it with other options than the defaults")
    size = spec.accepts.size or max(COUNTED_SIZE, spec.accepts.min_size)
    found = sum(p.numel() for p in trial.network(channels=spec.accepts.channels or 3, size=size).parameters())
    require(found == spec.params, f"params={spec.params:,} is declared, but it has {found:,}")


def tensors(value: object) -> list[torch.Tensor]:
    """Return the tensors in arguments, those in containers included."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [t for part in value for t in tensors(part)]
    return [t for part in vars(value).values() for t in tensors(part)] if hasattr(value, "__dict__") else []


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two outputs differ by rounding alone, measured against the largest of them."""
    return _gap(found, expected) <= tolerance * max(float(expected.abs().max()), 1.0)


def _gap(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected.float()).abs().max())


def _finite_gradients(model: nn.Module, loss: torch.Tensor) -> None:
    require(loss.ndim == 0 and torch.isfinite(loss), f"the loss is {loss.detach()}, not one finite number")
    model.zero_grad()
    if not loss.requires_grad:
        return
    loss.backward()
    wrong = [n for n, p in model.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
    require(not wrong, f"the gradient of {', '.join(wrong[:3])} is not finite")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
