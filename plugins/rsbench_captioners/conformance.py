"""Checks of a captioner: searching word by word gives what training has seen."""

from __future__ import annotations

from typing import Final

import torch

from rsbench.testing.contract import Checks, require
from rsbench.testing.model_trial import BATCH, ModelTrial
from rsbench.testing.networks import close
from rsbench_captioners.beam_search import Search, generate

CHECKS: Final = Checks()
WORDS: Final = 8


@CHECKS(
    "step",
    reason="sentences are searched for with step, but learned with forward",
    remedy="let step(tokens, state) give the logits that forward gives at the same place",
)
def step(trial: ModelTrial) -> None:
    """Taking the tokens one by one gives the logits of forward."""
    images, tokens = trial.arguments(BATCH)
    rows = tokens[::2]  # the first of the two sentences of each image
    with torch.inference_mode():
        expected = trial.built(images, tokens)[::2]
        state = trial.built.start(images)  # type: ignore[operator]
        for place in range(4):
            logits, state = trial.built.step(rows[:, place], state)  # type: ignore[operator]
            require(close(logits, expected[:, place]), f"step and forward differ at token {place + 1}")


@CHECKS(
    "causal",
    reason="a network that sees the next word learns to copy it",
    remedy="mask what comes after a token",
)
def causal(trial: ModelTrial) -> None:
    """Logits at a place do not depend on later tokens."""
    images, tokens = trial.arguments(BATCH)
    changed = tokens.clone()
    changed[:, WORDS // 2 :] = 4
    with torch.inference_mode():
        before, after = (trial.built(images, t)[:, : WORDS // 2] for t in (tokens, changed))
    require(close(after, before), "logits depend on tokens that come later")


@CHECKS(
    "generation-batch",
    reason="a sentence must not depend on which other images share the batch",
    remedy="keep every tensor of the state with the image as its first dimension",
)
def generation_batch(trial: ModelTrial) -> None:
    """Greedy and beam search say the same of an image alone as in a batch."""
    images = trial.images(BATCH)
    for beam in (1, 2):
        search = Search(max_words=WORDS, beam=beam)
        together = generate(trial.built, images, search)[:1]
        alone = generate(trial.built, images[:1], search)
        length = min(together.shape[1], alone.shape[1])
        require(
            torch.equal(together[:, :length], alone[:, :length]),
            f"a search of width {beam} says another sentence of an image in a batch than alone",
        )
