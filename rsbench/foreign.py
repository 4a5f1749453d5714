"""Foreign words, of records and plugins, in what we print and write: they stay words; and the numbers among them."""

from __future__ import annotations

import re
from typing import Final

_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")
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


def whole(text: str, digits: int = 18) -> int | None:
    """Return the number that a text is which holds nothing but digits from 0 to 9, and not more than *digits* of them.

    ``str.isdigit`` takes more than ``int`` does, such as ``"²"``, and ``int`` no more than 4,300 digits.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def in_markdown(text: str) -> str:
    """Return a text that ends no cell or line of Markdown and opens no tag of HTML."""
    return _TAG.sub("&lt;", " ".join(text.splitlines())).replace("|", "\\|")
