"""What a board cites: the sources that its models and datasets name, as BibTeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from rsbench.errors import UserError
from rsbench.leaderboard.aggregate import Row
from rsbench.leaderboard.board import Board
from rsbench.registry import registry

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


_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")


def sources(citation: str) -> list[str]:
    """Return what a citation names: its first part, and those later parts, after semicolons, that have a year."""
    parts = [part.strip() for part in citation.split(";") if part.strip()]
    return parts[:1] + [part for part in parts[1:] if _YEAR.search(part)]


def keys(board: Board) -> dict[str, str]:
    """Return source -> key of all that a board cites, in alphabetical order; keys are first word and year."""
    texts: set[str] = set()
    for table in board.tables:
        texts |= set(cited("dataset", table.dataset))
        for row in table.rows:
            texts |= {source for name in models(row) for source in cited("model", name)}
    found: dict[str, str] = {}
    for text in sorted(texts):
        base, taken = _key(text), set(found.values())
        free = (
            base,
            *(f"{base}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"),
            *(f"{base}-{k}" for k in range(99)),
        )
        found[text] = next(key for key in free if key not in taken)
    return found


def models(row: Row) -> list[str]:
    """Return the names of the models of a row's runs."""
    return list(dict.fromkeys(fact["plan"]["model"]["name"] for fact in row.facts))


def cited(kind: str, name: str) -> list[str]:
    """Return the sources of a model or dataset; none where it is not installed."""
    try:
        return sources(registry().get(kind, name).citation)
    except UserError:
        return []


def _key(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.findall(r"[A-Za-z][A-Za-z0-9-]*", plain)
    year = _YEAR.search(text)
    return (words[0].lower() if words else "source") + (year[0] if year else "")


def bibliography(found: Mapping[str, str]) -> str:
    """Return a .bib file whose entries hold the sources as they are named, and nothing made up."""
    entries = [f"@misc{{{key},\n  key = {{{key}}},\n  note = {{{escape(text)}}}\n}}\n" for text, key in found.items()]
    return "\n".join(entries)
