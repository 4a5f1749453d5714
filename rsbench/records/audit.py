"""Holds the leaves of a record against what they should be, and keeps count of how each was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

TOLERANCE: Final = 1e-9  # of numbers that are computed again, absolute below 1 and relative above

RECOMPUTED: Final = "recomputed"  # from predictions, or from other numbers of the record
AGREED: Final = "agreed"  # held against a spec, a hash or another field
SEALED: Final = "sealed"  # covered by the digest alone, or by nothing where there is none
HOW: Final = (RECOMPUTED, AGREED, SEALED)

Place = tuple[str | int, ...]


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield place and value of everything in a record that holds nothing: numbers, texts, nulls, empty containers."""
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    if not items or not value:
        yield place, value
    for key, item in items:
        yield from leaves(item, (*place, key))


def close(a: Any, b: Any) -> bool:
    """Whether two leaves are the same, numbers up to :data:`TOLERANCE`."""
    if isinstance(a, bool) or isinstance(b, bool) or not all(isinstance(v, (int, float)) for v in (a, b)):
        return type(a) is type(b) and a == b
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def label(place: Place) -> str:
    """Return a place as it is named in a sentence: ``macro_f1``, ``ece: interval``, ``train.curve.3.val_loss``."""
    if place[:1] == ("metrics",) and len(place) > 2:
        name, field = place[1:3]
        return str(name) if field == "value" else f"{name}: {'interval' if field == 'ci95' else field}"
    return ".".join(map(str, place))


class Audit:
    """What was found of one record.

    Attributes:
        wrong: what does not match, one line each.
        missing: what could not be looked at for want of something, one line each.
        notes: what a reader should know besides.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.wrong: list[str] = []
        self.missing: list[str] = []
        self.notes: list[str] = []
        self._how: dict[Place, str] = {}

    def get(self, *place: str | int) -> Any:
        """Return what is at a place; ``None`` where there is nothing."""
        found: Any = self.record
        for key in place:
            inside = isinstance(found, Mapping) and key in found
            if not inside and not (isinstance(found, Sequence) and isinstance(key, int) and key < len(found)):
                return None
            found = found[key]
        return found

    def hold(self, how: str, place: Place, expected: Any) -> None:
        """Hold the part of the record at *place* against all that is *expected* there, leaf by leaf."""
        stored, wanted = dict(leaves(self.get(*place), place)), dict(leaves(expected, place))
        for at in {**stored, **wanted}:
            if at in stored and at in wanted and close(stored[at], wanted[at]):
                self._how[at] = how
            elif at not in wanted:
                self.wrong.append(f"{label(at)}: {_shown(stored[at])} is stored, nothing comes out")
            elif at not in stored:
                self.wrong.append(f"{label(at)}: nothing is stored, {_shown(wanted[at])} comes out")
            else:
                self.wrong.append(f"{label(at)}: {_shown(stored[at])} is stored, {_shown(wanted[at])} comes out")

    def cover(self, how: str, place: Place) -> None:
        """Take note that what is at *place*, if anything, was found to be right."""
        for at, _ in leaves(self.get(*place), place):
            self._how.setdefault(at, how)

    def expect(self, how: str, right: bool, text: str, *places: Place) -> None:
        """Take note of what is at *places* where it is *right*, else of what *text* says."""
        if not right:
            self.wrong.append(text)
            return
        for place in places:
            self.cover(how, place)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return, of leaves that were recomputed, agreed with something, and are covered by the digest at most, how
        many each part of the record has."""
        found = Counter((self._how.get(place, SEALED), str(place[0])) for place, _ in leaves(self.record))
        return {how: {part: n for (h, part), n in found.items() if h == how} for how in HOW}


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
