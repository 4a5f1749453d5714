"""Tab completion of names; it must never print or raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rsbench.registry import registry


def names(kind: str) -> Callable[[str], list[str]]:
    """Return a completion of the names of one kind; families complete to their members once the prefix is typed."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        found = [n for n in registry().names(kind) if n.startswith(last)]
        prefix, colon, _ = last.partition(":")
        family = registry().specs(kind).get(f"{prefix}:*")
        if colon and family is not None and family.members:
            from rsbench.specs import load_attribute

            found = [f"{prefix}:{m}" for m in load_attribute(family.members)("*") if f"{prefix}:{m}".startswith(last)]
        return [before + comma + n.removesuffix("*") for n in found]

    return complete


def observers(incomplete: str) -> list[str]:
    """Complete the name of an observer."""
    return [name for name in registry().observers() if name.startswith(incomplete)]


def among(values: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a completion of a fixed list of words."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]
