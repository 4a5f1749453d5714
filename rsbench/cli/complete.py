"""Tab completion of names; it must never print or raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from typer import Context

from rsbench.errors import UserError
from rsbench.registry import registry


def names(kind: str) -> Callable[[str], list[str]]:
    """Return a completion of the names of one kind; families complete to their members once the prefix is typed."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        found = [n for n in registry().names(kind) if n.startswith(last)]
        prefix, colon, _ = last.partition(":")
        if colon:
            with suppress(UserError):
                found = [n for n in registry().members(kind, prefix) if n.startswith(last)] or found
        return [before + comma + n.removesuffix("*") for n in found]

    return complete


def observers(incomplete: str) -> list[str]:
    """Complete the name of an observer."""
    return [name for name in registry().observers() if name.startswith(incomplete)]


def among(values: Sequence[str] | Callable[[], Sequence[str]]) -> Callable[[str], list[str]]:
    """Return a completion of a fixed list of words, or of what a function returns when it is asked."""
    return lambda incomplete: [v for v in (values() if callable(values) else values) if v.startswith(incomplete)]


def runs(ctx: Context, incomplete: str) -> list[str]:
    """Complete a run by its id or the hash at the end, in the folder that the command names."""
    from pathlib import Path

    from rsbench.engine.launch.run_folders import run_names

    with suppress(OSError):
        found = run_names(Path(ctx.params.get("out") or "rsbench-results"))
        hashes = [name.rpartition("-")[2] for name in found]
        return sorted(name for name in (*found, *hashes) if name.startswith(incomplete)) if incomplete else found
    return []
