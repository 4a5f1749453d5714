"""What became of each record that was read: it stands in a row, or it was left out for a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeVar

from rsbench.records.store import LoadedRecord

FAILED: Final = "failed"
DEBUG: Final = "debug or overfit"
OTHER: Final = "of {}"  # division of what is no score
DUPLICATE: Final = "duplicate"
OLDER: Final = "measured anew since"
NOT_INSTALLED: Final = "of metrics or tasks that are not installed"
NO_SCORE: Final = "without a score"
NO_CURVE: Final = "without a validation score by epoch"
NO_TARGET: Final = "without a target"
NO_DEVICE: Final = "on an unknown device"
UNREADABLE: Final = "unreadable"
FILTERED: Final = "filtered out"

T = TypeVar("T")


class LeftOut(Exception):
    """A record does not stand on a board; with a message it is named there, else counted alone.

    Args:
        reason: one of those above.
        install: the distribution that would have to be installed for it.
    """

    def __init__(self, reason: str, message: str = "", install: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.install = install


class Census:
    """How many records were read, and where they went.

    Attributes:
        read: all of them, those included that could not be read.
        shown, rows: how many stand in how many rows.
        left_out: reason -> how many do not.
        install: distributions that would let more of them stand there.
        failures: the runs that failed.
        problems: one sentence for each record that was left out by name.

    Args:
        records: how many could be read.
        unreadable: how many could not.
    """

    def __init__(self, records: int, unreadable: int = 0) -> None:
        self.read = records + unreadable
        self.shown = self.rows = 0
        self.left_out = Counter({UNREADABLE: unreadable})
        self.install: set[str] = set()
        self.failures: list[LoadedRecord] = []
        self.problems: list[str] = []

    def take(self, loaded: LoadedRecord, make: Callable[[LoadedRecord], T]) -> T | None:
        """Return what *make* makes of a record; ``None`` where it raises, which leaves the record out.

        Whatever a record holds, it costs no more than itself.
        """
        try:
            return make(loaded)
        except LeftOut as error:
            self.left_out[error.reason] += 1
            self.install |= {error.install} if error.install else set()
            message = str(error).rstrip(".")
            if error.reason == FAILED:
                self.failures.append(loaded)
                message = ""
        except Exception as error:
            self.left_out[UNREADABLE] += 1
            message = described(error)
        if message:
            self.problems.append(f"{loaded.record['run_id']} ({loaded.path}) is left out: {message}.")
        return None

    @property
    def failed(self) -> list[str]:
        """One sentence for each run that failed."""
        errors = ((loaded.record["run_id"], loaded.record["error"] or {}) for loaded in self.failures)
        return [f"{run_id} is left out: it failed: {e.get('message', 'why is not known')}" for run_id, e in errors]

    def sentence(self) -> str:
        """Return where the records went, in words."""
        counted = f"{_number(self.read, 'record')} read, {self.shown} shown in {_number(self.rows, 'row')}"
        gone = [self._reason(reason, n) for reason, n in sorted(self.left_out.items()) if n]
        return f"{counted}; left out: {', '.join(gone)}." if gone else f"{counted}; none left out."

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for programs."""
        gone = {reason: n for reason, n in sorted(self.left_out.items()) if n}
        return {"read": self.read, "shown": self.shown, "rows": self.rows, "left_out": gone}

    def close(self, shown: int, rows: int) -> None:
        """Note what is shown in the end.

        Raises:
            AssertionError: a record is neither shown nor left out, or both.
        """
        self.shown, self.rows = shown, rows
        gone = sum(self.left_out.values())
        if shown + gone != self.read:
            raise AssertionError(f"{self.read} records were read, {shown} are shown and {gone} left out")

    def _reason(self, reason: str, count: int) -> str:
        if reason == DUPLICATE:
            return _number(count, reason)
        install = f" (install {', '.join(sorted(self.install))})" if reason == NOT_INSTALLED and self.install else ""
        return f"{count} {reason}{install}"


def described(error: Exception) -> str:
    """Return an error as the end of a sentence; of a foreign one, its kind as well."""
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, KeyError):
        return f"it lacks {text}"
    return text if type(error).__module__ == "rsbench.errors" else f"{type(error).__name__}: {text}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
