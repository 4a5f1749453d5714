"""Errors with a meaning to the user.

The CLI prints a :class:`UserError` as one sentence and exits with 2; a :class:`RunError` ends one run and leaves a
failure record.
"""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Sequence
from typing import Final


class UserError(Exception):
    """A usage error: one sentence that says what is wrong and what to do."""


class UserErrors(UserError):
    """Several mistakes found at once, so that they can be mended at once."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class NotPrepared(UserError):
    """The dataset has not been turned into arrays yet."""


class RunError(Exception):
    """A run that cannot go on.  ``stage`` names where it stopped."""

    def __init__(self, message: str, stage: str) -> None:
        super().__init__(message)
        self.stage = stage


# By which a user, a terminal that is closed, or who manages the job asks for an end; Windows has not all of them.
ENDING: Final = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))


class Stopped(BaseException):
    """The user, or who manages the job, asked the command to end by the signal ``number``; nobody is to contain this.

    It is no KeyboardInterrupt, of which the command line's library makes an end of its own, and which a plugin may
    raise by itself.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def first_of(names: Sequence[str], shown: int = 3) -> str:
    """Return ``"a, b, c and 5 more"``: the first of *names*, and how many are left."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def did_you_mean(name: str, known: Iterable[str], first: Sequence[str] = ()) -> str:
    """Return ``" Did you mean 'x'?"`` for those of *first*, else for the nearest known names, or an empty string."""
    close = first[:3] or difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=0.6)
    if not close:
        return ""
    quoted = " or ".join(f"'{c}'" for c in close)
    return f" Did you mean {quoted}?"
