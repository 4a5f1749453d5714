"""Markdown out of docstrings and values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

DISTRIBUTION: Final = "rsbench"  # what other installed plugins give is not on the pages
_ROLE: Final = re.compile(r":[a-z]+:(?=`)")
_ENTRY: Final = re.compile(r"([a-z_]+(?:, [a-z_]+)*): ")


def prose(doc: str | None) -> str:
    """Return a docstring as Markdown; lines that open with ``field:`` become a list."""
    text = _ROLE.sub("", inspect.cleandoc(doc or "")).replace("``", "`")
    lines: list[str] = []
    for line in text.splitlines():
        entry = _ENTRY.match(line)
        if entry is None:
            lines.append(line.strip())
            continue
        if lines and lines[-1] and not lines[-1].startswith("- "):
            lines.append("")
        names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
        lines.append(f"- {names}: {line[entry.end() :]}")
    return "\n".join(lines)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; bars and line ends in the cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def code(value: Any) -> str:
    """Return a value as inline code, and nothing for an empty one."""
    return f"`{value}`" if value not in (None, "", (), {}, []) else ""
