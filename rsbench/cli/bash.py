"""Completion in bash, which takes ``timm:resnet18`` and ``lr=0.1`` for three words each (``COMP_WORDBREAKS``)."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import redirect_stdout
from typing import Final

BREAKS: Final = (":", "=")
SHELL: Final = "_RSBENCH_COMPLETE"  # set by the script that Typer installs


def completing() -> bool:
    """Whether a shell asks for completions."""
    return SHELL in os.environ


def complete(answer: Callable[[], object], environment: MutableMapping[str, str] = os.environ) -> None:
    """Print what *answer* prints of completions, less what bash takes for words before the last.

    Args:
        answer: prints completions of the words in *environment*, one a line.
        environment: has bash's words and the place of the last (``COMP_WORDS``, ``COMP_CWORD``).
    """
    if not environment.get(SHELL, "").endswith("bash"):
        answer()
        return
    given = environment.get("COMP_WORDS", "").split("\n")
    words, current = joined(given, int(environment.get("COMP_CWORD") or 0))
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(current)
    typed = words[current] if current < len(words) else ""
    known = max(typed.rfind(b) for b in BREAKS) + 1 if len(words) < len(given) else 0
    stream = io.StringIO()
    try:
        with redirect_stdout(stream):
            answer()
    finally:  # Typer ends the process
        for line in stream.getvalue().splitlines():
            print(line[known:] if line.startswith(typed[:known]) else line)


def joined(words: Sequence[str], current: int) -> tuple[list[str], int]:
    """Return words as the user typed them, and which of them is the *current* one."""
    found: list[str] = []
    place = 0
    glue = False
    for number, word in enumerate(words):
        if word in BREAKS and found:
            found[-1] += word
            glue = True
        elif glue:
            found[-1] += word
            glue = False
        else:
            found.append(word)
        if number == current:
            place = len(found) - 1
    if current >= len(words):
        place = len(found)
    return found, place
