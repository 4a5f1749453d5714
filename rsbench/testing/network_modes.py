"""Checks of how a network behaves: its modes, its randomness, and what one sample may know of another."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from rsbench.testing.contract import Checks, NotApplicable, require
from rsbench.testing.model_trial import BATCH, ModelTrial
from rsbench.testing.networks import close

CHECKS: Final = Checks()
# torch's own modules that act otherwise in training.
_MODAL: Final = (
    nn.modules.dropout._DropoutNd,
    nn.modules.batchnorm._NormBase,
    nn.MultiheadAttention,
    nn.RNNBase,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


@CHECKS(
    "deterministic",
    reason="a result that cannot be repeated from its seed cannot be checked",
    remedy="draw from torch's or NumPy's global generator, which the engine seeds, never from time or the system",
)
def deterministic(trial: ModelTrial) -> None:
    """The same seed gives the same weights and the same outputs in training mode."""
    found = []
    for _ in range(2):
        model = trial.network().train()
        weights = {k: v.clone() for k, v in model.state_dict().items()}
        torch.manual_seed(1)
        with torch.no_grad():
            found.append((weights, trial.synthetic.outputs(model, trial.arguments())))
    (first, a), (second, b) = found
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    require(not differing, f"the initial value of {', '.join(differing[:3])} is another one under the same seed")
    require(torch.equal(a, b), "outputs in training mode are other ones under the same seed")


@CHECKS(
    "evaluation-mode",
    reason="in evaluation nothing may be random and nothing may be learned",
    remedy="pass training=self.training to functional dropout; update counters only where self.training is true",
)
def evaluation_mode(trial: ModelTrial) -> None:
    """In evaluation mode outputs repeat, whatever the generator's state, and weights, buffers and modes stay."""
    model = trial.network().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    outputs = []
    with torch.no_grad():
        for seed in (1, 2):
            torch.manual_seed(seed)
            outputs.append(trial.synthetic.outputs(model, trial.arguments()))
    require(close(outputs[0], outputs[1], tolerance=1e-6), "outputs in evaluation mode are random")
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    require(not changed, f"evaluating changed {', '.join(changed[:3])}")
    require(not model.training, "evaluating put the model into training mode")


@CHECKS(
    "training-mode",
    reason="what differs between the modes without need makes training curves and results disagree",
    remedy="branch on self.training only for dropout, BatchNorm and the like, and write no parameters in forward",
)
def training_mode(trial: ModelTrial) -> None:
    """Forward in training mode changes no parameter; without modules that have modes, both modes agree."""
    model = trial.network().train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        found = trial.synthetic.outputs(model, trial.arguments())
        changed = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
        require(not changed, f"forward changed the parameters {', '.join(changed[:3])}")
        if not any(_has_modes(module) for module in model.modules()):
            require(
                close(found, trial.synthetic.outputs(model.eval(), trial.arguments())),
                "outputs differ between the modes, although no module of it has modes",
            )


@CHECKS(
    "batch-independent",
    reason="the result of a sample must not depend on which others share its batch",
    remedy="take no statistics over the batch in evaluation mode, and mind reshape(-1, ...)",
)
def batch_independent(trial: ModelTrial) -> None:
    """In evaluation mode an image alone gives what it gives in a batch."""
    with torch.no_grad():
        together = trial.outputs(trial.built, trial.arguments(BATCH))
        alone = trial.outputs(trial.built, trial.arguments(1))
    if not len(alone):
        raise NotApplicable("there are no outputs")
    require(close(together[: len(alone)], alone), "an image in a batch gives other outputs than alone")


def _has_modes(module: nn.Module) -> bool:
    """Whether a module is, or reads that it is, in training mode."""
    code = getattr(type(module).forward, "__code__", None)
    return isinstance(module, _MODAL) or code is None or "training" in code.co_names
