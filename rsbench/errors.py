"""Errors with a meaning to the user.

The CLI prints a :class:`UserError` as one sentence and exits with 2; a :class:`RunError` ends one run and leaves a
failure record.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final


class UserError(Exception):
    """The user's mistake: one sentence that says what is wrong and what to do."""


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


class Stopped(BaseException):
    """The user, or who manages the job, asked the command to end by the signal ``number``; nobody is to contain this.

    It is no KeyboardInterrupt, of which the command line's library makes an end of its own, and which a plugin may
    raise by itself.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


LONGEST_LINE: Final = 300


# Controls but for tab and the ends of lines, and marks that change the direction of what follows.
_OBEYED: Final = dict.fromkeys(
    {*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - set(b"\t\n\r"), "\ufffd"
)


def printable(text: str) -> str:
    """Return a text that holds foreign words without what a terminal or a reader's eye would obey."""
    return text.translate(_OBEYED)


def in_one_line(text: str) -> str:
    """Return a foreign text as part of a sentence: one line, not too long, nothing in it that a terminal obeys."""
    plain = " ".join(
        "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text[: 10 * LONGEST_LINE]).split()
    )
    return plain if len(plain) <= LONGEST_LINE else f"{plain[:LONGEST_LINE]}..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known names, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    if not close:
        return ""
    quoted = " or ".join(f"'{c}'" for c in close)
    return f" Did you mean {quoted}?"
