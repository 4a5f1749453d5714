"""Scores captions made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rsbench.errors import UserError
from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import build
from rsbench.specs import MetricSpec
from rsbench.tasks.captioning import Captions
from rsbench.tasks.entries import matched
from rsbench.tasks.text import words


def references_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return id -> reference sentences.

    Raises:
        UserError: an image has none, or one of them is not a text with words.
    """
    found = {}
    for entry in entries:
        sentences = entry.get("captions")
        if not isinstance(sentences, list) or not sentences:
            raise UserError(f"Reference '{entry['id']}' has no list of 'captions'.")
        for k, sentence in enumerate(sentences):
            if not isinstance(sentence, str) or not words(sentence):
                raise UserError(f"Caption {k + 1} of reference '{entry['id']}' has no words: {sentence!r}.")
        found[entry["id"]] = sentences
    return found


def predictions_of(entries: Sequence[Mapping[str, Any]], references: Mapping[str, list[str]]) -> Captions:
    """Return captions in the order of the references; an empty one is scored as it is.

    Raises:
        UserError: an id is missing or unknown, or a caption is not a text.
    """
    by_id = matched(entries, references)
    captions = {name: _said(entry) for name, entry in by_id.items()}
    for name, caption in captions.items():
        if not isinstance(caption, str):
            raise UserError(f"Prediction '{name}' has no 'caption' that is a text.")
    return Captions(list(captions), list(captions.values()))


def _said(entry: Mapping[str, Any]) -> Any:
    """The caption of a prediction, or the only one of a list, as evaluation code of COCO keeps them."""
    captions = entry.get("captions")
    return captions[0] if isinstance(captions, list) and len(captions) == 1 else entry.get("caption")


def per_image(
    specs: Sequence[MetricSpec], ids: Sequence[str], rows: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Return id -> metric -> value of that image alone."""
    context = MetricContext("captioning")
    values = {s.name: build(s, context).per_image(rows[s.name]) for s in specs if s.name in rows}  # type: ignore[attr-defined]
    return {name: {metric: float(column[i]) for metric, column in values.items()} for i, name in enumerate(ids)}


def warnings_of(made: Captions) -> list[str]:
    """What the reader of the scores should know of the captions."""
    found = []
    empty = [i for i, caption in zip(made.ids, made.captions, strict=True) if not words(caption)]
    if empty:
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        found.append(f"Prediction '{empty[0]}'{more} has no words and scores 0.")
    if len(made) == 1:
        found.append("CIDEr-D of a single image is 0 by definition: every word is in all documents.")
    return found
