"""Scoring by task: files against files, or a file against the test split of a prepared dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.data.store import PreparedStore
from rsbench.specs import MetricSpec
from rsbench.tasks import score, score_answers, score_captions
from rsbench.tasks.kinds import Outcome
from rsbench.tasks.predictions import as_stored


def score_files(
    task: str, predictions: Path, references: Path, classes: Sequence[str] | None = None, *, logits: bool = False
) -> dict[str, Any]:
    """Score a predictions file against a references file by every installed metric of the task.

    Args:
        task: ``classification``, ``captioning`` or ``vqa``.
        predictions, references: files as :mod:`rsbench.tasks.entries` reads them.
        classes: names in the order of the probabilities.
        logits: classification's predictions are logits.

    Raises:
        UserError: a file, an id or a value is wrong, or the task cannot be scored from files.
    """
    if task == "captioning":
        return score_captions.score_files(predictions, references)
    if task == "vqa":
        return score_answers.score_files(predictions, references)
    return score.score_files(predictions, references, classes, logits=logits)


def outcome_against(
    task: str,
    entries: Sequence[Mapping[str, Any]],
    store: PreparedStore,
    test: np.ndarray,
    specs: Sequence[MetricSpec],
    *,
    logits: bool = False,
) -> Outcome:
    """Match predictions with the samples *test* of a prepared dataset.

    Args:
        task: ``classification``, ``captioning`` or ``vqa``.
        entries: predictions, as :func:`rsbench.tasks.entries.predictions_in` reads them.
        store: the dataset.
        test: int64 [N], the samples to be scored.
        specs: metrics, for tasks that keep statistics.
        logits: classification's predictions are logits.

    Raises:
        UserError: an id is missing or unknown, or a prediction is not valid.
    """
    ids = [store.ids[i] for i in test]
    columns = store.columns
    if task == "captioning":
        sentences = {store.ids[i]: columns["sentences"][i] for i in test}
        return score_captions.outcome_of(score_captions.predictions_of(entries, sentences), sentences, specs)
    classes, types = store.manifest["classes"], store.manifest.get("question_types", ())
    if task == "vqa":
        references = [
            {
                "id": store.ids[i],
                "image": store.image_ids[store.image_index[i]],
                "type": columns["kind"][i],
                "answer": classes[store.labels[i]] if columns["count"][i] is None else columns["count"][i],
            }
            for i in test
        ]
        return score_answers.outcome_of(entries, references, classes, types)
    labels = dict(zip(ids, store.labels[test].tolist(), strict=True))
    # As they would be kept: the numbers are the same with --save and without, and can be verified.
    found = score.outcome_of(entries, labels, classes, logits=logits)
    return replace(found, predictions=as_stored(found.predictions))


def score_outcome(
    task: str, outcome: Outcome, manifest: Mapping[str, Any], specs: Sequence[MetricSpec], primary: str
) -> dict[str, Any]:
    """Return what ``rsbench score`` prints of an outcome on the dataset with this *manifest*."""
    classes = manifest["classes"]
    if task == "captioning":
        return score_captions.score(outcome, specs, primary)
    if task == "vqa":
        return score_answers.score(outcome, specs, primary, classes, manifest["question_types"])
    names = [s.name for s in specs]
    return score.score(outcome.predictions, outcome.references, classes, names, primary, outcome.notes)
