"""Synthetic data of a plan's shapes, from which a task tells a model what it would learn of a dataset."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from rsbench.data.store import PreparedStore
from rsbench.engine.input.run_data import RunData, taken
from rsbench.plan import RunPlan
from rsbench.tasks.task import get_task
from rsbench.tasks.text import SPECIAL

SENTENCE: Final = 10  # words of a training sentence and of a training question
REFERENCES: Final = 5  # sentences an image
ROUNDS: Final = 6  # how often each word is said: more than any min_count leaves out


def synthetic_data(plan: RunPlan) -> RunData:
    """Return data whose samples have the plan's classes, words and question types, all of them for training."""
    store = SyntheticStore(plan)
    everything = np.arange(len(store.ids))
    return taken(plan, store, everything, everything[:0], everything)


class SyntheticStore(PreparedStore):
    """A store that is on no disk: images are zeros, words and labels follow one another."""

    def __init__(self, plan: RunPlan) -> None:
        dataset = plan.dataset
        words = [f"word{k}" for k in range(dataset.get("words", len(SPECIAL)) - len(SPECIAL))]
        texts = _texts(words)
        samples = max(len(texts) // REFERENCES, 2 * len(dataset["classes"]), REFERENCES)
        ids = [str(k) for k in range(samples)]
        columns: dict[str, list[Any]] = {"id": ids}
        if dataset["classes"]:
            columns["label"] = [k % len(dataset["classes"]) for k in range(samples)]
        columns |= get_task(plan.task).synthetic_columns(samples, texts, dataset)
        self._samples = {"columns": columns, "image_ids": ids}
        self.manifest = {"fingerprint": dataset["fingerprint"]}
        self.images = np.broadcast_to(np.float32(0), (samples, *dataset["image_shape"]))


def _texts(words: list[str]) -> list[str]:
    """Sentences in which every word is said :data:`ROUNDS` times."""
    repeated = words * ROUNDS
    return [" ".join(repeated[k : k + SENTENCE]) for k in range(0, len(repeated), SENTENCE)]
