"""The tasks that come with the core, found through the same hook as those of plugins."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.hookspecs import hookimpl
from rsbench.specs import TaskSpec
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR


@hookimpl
def rsbench_tasks() -> Iterator[TaskSpec]:
    """Classification, captioning and visual question answering."""
    yield TaskSpec(
        name="classification",
        summary="One class for each image.",
        definition="rsbench.tasks.classification.task:TASK",
        training="rsbench.engine.tasks.classification:ClassificationTraining",
        test_inputs="rsbench.testing.trials:CLASSIFICATION",
        primary="overall_accuracy",
        strategies=("fsdp",),
    )
    yield TaskSpec(
        name="captioning",
        summary="A sentence for each image, scored against several.",
        definition="rsbench.tasks.captioning.task:TASK",
        training="rsbench.engine.tasks.captioning:CaptioningTraining",
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
    yield TaskSpec(
        name="vqa",
        summary="An answer of a closed list to each question about an image.",
        definition="rsbench.tasks.vqa.task:TASK",
        training="rsbench.engine.tasks.vqa:VQATraining",
        test_inputs="rsbench.testing.trials:VQA",
        primary="OA",
        options={"min_count": 1, "max_words": 20, "questions_per_image": 16},
        sample={"size": 256, "classes": ANSWERS_LR, "words": 300, "question_types": TYPES_LR},
    )
