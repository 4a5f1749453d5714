"""Switching observers on by name, for those that say nothing until they are asked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rsbench.errors import UserErrors, did_you_mean
from rsbench.registry import registry

SWITCH: Final = "RSBENCH_OBSERVERS"


def require(names: Iterable[str]) -> None:
    """Check that there are observers of these names.

    Raises:
        UserErrors: a name is not that of an observer.
    """
    known = registry().observers()
    problems = [
        f"There is no observer '{name}'.{did_you_mean(name, known)} Observers: {', '.join(known) or 'none'}."
        for name in names
        if name not in known
    ]
    if problems:
        raise UserErrors(problems)


@contextmanager
def observing(names: Sequence[str] = ()) -> Iterator[None]:
    """Switch on the observers *names*, besides those that ``RSBENCH_OBSERVERS`` holds; workers inherit them.

    Raises:
        UserErrors: a name is not that of an observer.
    """
    before = os.environ.get(SWITCH)
    chosen = dict.fromkeys(n.strip() for n in [*(before or "").split(","), *names] if n.strip())
    require(chosen)
    os.environ[SWITCH] = ",".join(chosen)
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before
