"""Captioning: one sentence for each image, scored against several.

Network contract, with I images, B = I x R sentences (sentence b is of image ``b // R``) and V words:

- ``forward(images: float32 [I, C, H, W], tokens: int64 [B, T]) -> logits float [B, T, V]``: a row of tokens is
  :data:`START`, words, :data:`END`, :data:`PAD` to the right; the logits at t depend on tokens 0 .. t and predict
  token t + 1.
- ``start(images) -> state``: dicts, lists and tuples of tensors whose first dimension is I.
- ``step(tokens: int64 [N], state) -> (logits [N, V], state)``: takes one token of each of N sentences.  The engine
  searches (greedy, beam, sampled): it repeats and reorders the state's tensors along their first dimension, and
  ``step`` must give what ``forward`` gives at the same place.
- ``training_loss(images, targets: CaptionTargets, loss) -> scalar`` (optional): where the loss is more than
  :func:`token_loss` of ``forward``; the run then takes one device.
- ``encode(images) -> features`` and ``frozen`` (optional): features are nested tensors of first dimension I, which
  the network takes wherever it takes images.  Where ``frozen`` is true and nothing is augmented, the engine encodes
  each image once for the whole run.

Estimator contract (``kind="estimator"``): see :class:`CaptionEstimator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rsbench.tasks.text import END, PAD, START, UNKNOWN

__all__ = ["END", "PAD", "START", "UNKNOWN", "CaptionEstimator", "CaptionTargets", "Captions", "token_loss"]


@dataclass(frozen=True)
class Captions:
    """What a captioner said.

    Attributes:
        ids: sample ids, N of them, unique.
        captions: one sentence each.
    """

    ids: Sequence[str]
    captions: Sequence[str]

    def __len__(self) -> int:
        return len(self.captions)


@dataclass
class CaptionTargets:
    """What is to be learned from one batch; tensors on the device.

    Attributes:
        tokens: int64 [B, T], B a multiple of the number of images.
        labels: int64 [I], the class of each image, or ``None`` where the dataset has none.
        sentences: R, how many rows of tokens an image has.
    """

    tokens: Any
    labels: Any = None
    sentences: int = 1

    def __len__(self) -> int:
        return len(self.tokens)

    def about(self, images: slice) -> CaptionTargets:
        """Return those of some consecutive images."""
        rows = slice(images.start * self.sentences, images.stop * self.sentences)
        return CaptionTargets(self.tokens[rows], None if self.labels is None else self.labels[images], self.sentences)

    @property
    def weight(self) -> Any:
        """What a plain mean over them divides by: words that follow another."""
        return (self.tokens[:, 1:] != PAD).sum()


class CaptionEstimator(Protocol):
    """A captioner that is fitted in one go.  Images come as stored (uint8 [N, C, H, W]), in consecutive blocks."""

    def fit(self, blocks: Iterable[np.ndarray], sentences: Sequence[Sequence[str]], labels: np.ndarray | None) -> None:
        """Fit to training images, their reference sentences and, where there are some, class labels int64 [N]."""

    def caption(self, images: np.ndarray) -> list[str]:
        """Return one sentence for each image."""


def token_loss(loss: Callable[[Any, Any], Any], logits: Any, tokens: Any) -> Any:
    """Return ``loss(logits [n, V], targets [n])`` over all tokens that follow another and are not padding.

    Args:
        logits: float [B, T, V], where position t predicts token t + 1.
        tokens: int64 [B, T].
    """
    following = tokens != PAD
    following[:, 0] = False
    place = following.flatten().nonzero().squeeze(1)  # once: how many they are, a GPU has to be waited for
    return loss(logits.flatten(0, 1).index_select(0, place - 1).float(), tokens.flatten().index_select(0, place))
