"""Visual question answering, the systems that others are compared with, rebuilt from their papers, and baselines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl
from rsbench.specs import TaskSpec
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec, RecipeSpec


@hookimpl
def rsbench_tasks() -> Iterator[TaskSpec]:
    """Answers of a closed list."""
    yield TaskSpec(
        name="vqa",
        summary="An answer of a closed list to each question about an image.",
        definition="rsbench_vqa.task:TASK",
        training="rsbench_vqa.training:VQATraining",
        test_inputs="rsbench.testing.trials:VQA",
        primary="OA",
        options={"min_count": 1, "max_words": 20, "questions_per_image": 16},
        sample={"size": 256, "classes": ANSWERS_LR, "words": 300, "question_types": TYPES_LR},
    )


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """Lobry 2020, Yuan 2022, Bazi 2022, and baselines that lack the image or the words."""
    from rsbench_vqa.specs import MODELS

    yield from MODELS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """One recipe for all, and that of Lobry et al."""
    from rsbench_vqa.specs import RECIPES

    yield from RECIPES
