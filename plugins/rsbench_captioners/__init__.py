"""Captioning, and the systems that papers on UCM-captions compare, each in its smallest faithful form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl
from rsbench.specs import TaskSpec

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec


@hookimpl
def rsbench_tasks() -> Iterator[TaskSpec]:
    """Captioning."""
    yield TaskSpec(
        name="captioning",
        summary="A sentence for each image, scored against several.",
        definition="rsbench_captioners.task:TASK",
        training="rsbench_captioners.training:CaptioningTraining",
        test_inputs="rsbench.testing.trials:CAPTIONING",
        primary="CIDEr-D",
        options={
            "min_count": 5,  # words that occur less often in training become <unk>
            "max_words": 20,  # of a sentence
            "sentences": 1,  # learned of an image in a step
            "beam": 1,
            "length_penalty": 0.0,
            "temperature": 0.0,  # above 0: words are sampled
        },
        sample={"size": 256, "classes": 21, "words": 300},
    )


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """Five encoder-decoders and a retrieval system."""
    from rsbench_captioners.specs import MODELS

    yield from MODELS
