"""Names that have changed: the old ones are taken for one more release, with a hint, and what records hold is kept."""

from __future__ import annotations

import functools
import inspect
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
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


OPTION: Final = "option"
ACCEPTS: Final = "field of Accepts"
METADATA: Final = "metadata of a checkpoint"
TABLE: Final = (
    Renamed(OPTION, "--normalisation", "--normalization"),
    Renamed(ACCEPTS, "normalisation", "normalization", recorded=True),
    Renamed(METADATA, "normalisation", "normalization"),
)


class OldName(FutureWarning):
    """Somebody wrote an old name; the message says the new one."""


def current(where: str, names: Iterable[str], *, hint: bool = True) -> dict[str, str]:
    """Return each of *names* with its name of today.

    Args:
        where: one of those of :data:`TABLE`.
        names: as they were written.
        hint: warn of old ones by :class:`OldName`; files that a program wrote need none.
    """
    found = {}
    for name in names:
        entry = next((e for e in TABLE if e.where == where and e.old == name), None)
        if entry and hint:
            warnings.warn(entry.hint, OldName, stacklevel=3)
        found[name] = entry.new if entry else name
    return found


def arguments(given: list[str]) -> list[str]:
    """Return the arguments of a command with the options of today."""
    words = [word.partition("=") for word in given]
    today = current(OPTION, (option for option, _, _ in words))
    return [today[option] + equals + value for option, equals, value in words]


def recorded(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a plan under the names that records keep.

    Run ids and digests are over names too: under another one, a run that is finished would be run again, and a record
    that nobody touched would count as edited.
    """
    kept = {entry.new: entry.old for entry in TABLE if entry.recorded}
    return {kept.get(name, name): value for name, value in part.items()}


def fields(where: str) -> Callable[[type[T]], type[T]]:
    """Make a dataclass take the old names of its fields as well, each with a hint to who wrote it."""

    def decorate(made: type[T]) -> type[T]:
        init = made.__init__

        @functools.wraps(init)
        def __init__(self: T, **given: Any) -> None:
            today = current(where, given)
            init(self, **{today[name]: value for name, value in given.items()})

        __init__.__signature__ = inspect.signature(init)  # type: ignore[attr-defined]
        made.__init__ = __init__  # type: ignore[assignment]
        for entry in TABLE:
            if entry.where == where:
                setattr(made, entry.old, property(operator.attrgetter(entry.new)))
        return made

    return decorate
