"""Names that have changed: the old ones are taken for one more release, with a hint, and what records hold is kept."""

from __future__ import annotations

import functools
import inspect
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Renamed:
    """A name that users or authors of plugins write.

    where: what has it, as in "the option of evaluate".
    recorded: plans and records keep the old name, and are read by it.
    """

    where: str
    old: str
    new: str
    recorded: bool = False

    @property
    def hint(self) -> str:
        """What to write now, in a sentence."""
        return (
            f"The {self.where} '{self.old}' is called '{self.new}' now; the old name will be gone in the next release."
        )


OPTION: Final = "option of"  # and the command: one that a plugin has may be called as it likes
ACCEPTS: Final = "field of Accepts"
METADATA: Final = "metadata of a checkpoint"
TAG: Final = "tag of a model"
PLUGIN: Final = "plugin"
QUESTIONS: Final = "attribute of Questions"
ANSWERS: Final = "attribute of Answers"
MODEL: Final = "field of ModelSpec"
TASK_SPEC: Final = "field of TaskSpec"
TASK: Final = "member of a task"
TRAINING_TASK: Final = "member of a training task"
TABLE: Final = (
    Renamed(f"{OPTION} evaluate", "--normalisation", "--normalization"),
    Renamed(f"{OPTION} multitask", "--twins", "--single-task"),
    Renamed(f"{OPTION} multitask", "--rounds", "--steps-per-epoch"),
    Renamed(ACCEPTS, "normalisation", "normalization", recorded=True),
    Renamed(METADATA, "normalisation", "normalization"),
    Renamed(TAG, "control", "baseline", recorded=True),
    Renamed(TAG, "floor", "required-baseline", recorded=True),
    Renamed(TAG, "gate-baseline", "sanity-check-baseline", recorded=True),
    Renamed(TASK, "gates", "sanity_checks"),
    Renamed(TASK, "said", "prediction_text"),
    Renamed(TRAINING_TASK, "gates", "sanity_checks"),
    Renamed(QUESTIONS, "kind", "question_type"),
    Renamed(ANSWERS, "kinds", "question_types"),
    Renamed(MODEL, "trial", "test_options"),
    Renamed(TASK_SPEC, "trial", "test_inputs"),
    Renamed(PLUGIN, "controls", "baselines"),
)


class OldName(FutureWarning):
    """Somebody wrote an old name; the message says the new one."""


def current(where: str, name: str, *, depth: int | None = None) -> str:
    """Return a name of today.

    Args:
        where: one of those of :data:`TABLE`.
        name: as it was written.
        depth: how many calls above the caller an old name was written, of which :class:`OldName` warns; ``None``: by a
            program, which needs no hint.
    """
    for entry in TABLE:
        if entry.where == where and entry.old == name:
            if depth is not None:
                warnings.warn(entry.hint, OldName, stacklevel=2 + depth)
            return entry.new
    return name


def first(where: str, name: str) -> str:
    """Return the name under which plans and records have what is called *name* today."""
    return next((e.old for e in TABLE if e.recorded and (e.where, e.new) == (where, name)), name)


def arguments(given: list[str], command: str) -> list[str]:
    """Return the arguments of a command with the options of today."""
    words = []
    for word in given:
        option, equals, value = word.partition("=")
        words.append(current(f"{OPTION} {command}", option, depth=1) + equals + value)
    return words


def recorded(where: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a plan under the names that records keep.

    Run ids and digests are over names too: under another one, a run that is finished would be run again, and a record
    that nobody touched would count as edited.
    """
    return {first(where, name): value for name, value in part.items()}


def members(where: str, made: type) -> None:
    """Make a class that a plugin wrote have its members by the names of today, too; for ``__init_subclass__``."""
    for entry in TABLE:
        if entry.where == where and entry.old in vars(made):
            setattr(made, current(where, entry.old, depth=3), vars(made)[entry.old])


def fields(where: str) -> Callable[[type[T]], type[T]]:
    """Make a dataclass take the old names of its fields as well, each with a hint to who wrote it."""

    def decorate(made: type[T]) -> type[T]:
        init, old = made.__init__, {entry.old for entry in TABLE if entry.where == where}

        @functools.wraps(init)
        def __init__(self: T, *values: Any, **given: Any) -> None:
            for name in given.keys() & old:  # no comprehension, which is a call of its own in some Pythons
                given[current(where, name, depth=1)] = given.pop(name)
            init(self, *values, **given)

        __init__.__signature__ = inspect.signature(init)  # type: ignore[attr-defined]
        made.__init__ = __init__  # type: ignore[assignment]
        return attributes(where)(made)

    return decorate


def attributes(where: str) -> Callable[[type[T]], type[T]]:
    """Make objects answer to the old names of their attributes as well; without a hint, which would be one a batch."""

    def decorate(made: type[T]) -> type[T]:
        for entry in TABLE:
            if entry.where == where:
                setattr(made, entry.old, property(operator.attrgetter(entry.new)))
        return made

    return decorate
