"""The task that comes with the core, found through the same hook as those of plugins."""

from __future__ import annotations

from collections.abc import Iterator

from rsbench.hookspecs import hookimpl
from rsbench.specs import TaskSpec


@hookimpl
def rsbench_tasks() -> Iterator[TaskSpec]:
    """Classification."""
    yield TaskSpec(
        name="classification",
        summary="One class for each image.",
        definition="rsbench.tasks.classification.task:TASK",
        training="rsbench.engine.tasks.classification:ClassificationTraining",
        test_inputs="rsbench.testing.trials:CLASSIFICATION",
        primary="overall_accuracy",
        strategies=("fsdp",),
    )
