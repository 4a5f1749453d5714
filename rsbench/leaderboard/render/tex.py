"""Text for LaTeX."""

from __future__ import annotations

import re
from typing import Final

# Braces have names here because BibTeX counts them even after a backslash.
_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
}
_LIGATURE: Final = re.compile(r"([-,])(?=\1)")


def escape(text: str) -> str:
    """Return *text* so that LaTeX prints it as it is; control characters become spaces, two hyphens stay two."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return _LIGATURE.sub(r"\1{}", "".join(_SPECIAL.get(c, c) for c in plain))
