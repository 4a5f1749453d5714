"""Tab completion of names; it must never print or raise."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from fnmatch import fnmatchcase

from typer import Context

from rsbench.errors import UserError
from rsbench.execution import OUT
from rsbench.registry import ALIASES, registry
from rsbench.specs import RECIPE_DESCRIPTION, RecipeSpec


def names(*kinds: str) -> Callable[[str], list[str]]:
    """Return a completion of the names of some kinds; families complete to their members once the prefix is typed."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        found = [n for kind in kinds for n in registry().names(kind) if n.startswith(last)]
        prefix, colon, member = last.partition(":")
        if colon:
            with suppress(UserError):
                pattern = f"{glob.escape(member)}*"
                members = [n for kind in kinds for n in registry().members(kind, prefix, pattern)]
                found = [n for n in members if n.startswith(last)] or found
        return [before + comma + n.removesuffix("*") for n in dict.fromkeys(found)]

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
        found = run_names(Path(ctx.params.get("out") or OUT))
        hashes = [name.rpartition("-")[2] for name in found]
        return sorted(name for name in (*found, *hashes) if name.startswith(incomplete)) if incomplete else found
    return []


def _given(kind: str) -> list[str]:
    """Return the words typed so far that are names of a kind.

    What Typer has made of them is not there yet: an option whose value is being typed ends its parsing.
    """
    words = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    names = (name for word in words.split() for name in word.split(","))
    found = registry()
    return [name for name in names if name in found.specs(kind) or (":" in name and found.find(kind, name))]


def protocols(incomplete: str) -> list[str]:
    """Complete the name of a protocol, of the dataset where one is given."""
    datasets, found = _given("dataset"), registry().specs("protocol").values()
    return [
        p.name
        for p in found
        if p.name.startswith(incomplete) and (not datasets or any(fnmatchcase(d, p.dataset) for d in datasets))
    ]


def recipes(incomplete: str) -> list[str]:
    """Complete the name of a recipe."""
    return [name for name in (*ALIASES["recipe"], *registry().names("recipe")) if name.startswith(incomplete)]


def recipe_fields(incomplete: str) -> list[str]:
    """Complete what ``--set`` changes."""
    known = (f.name for f in fields(RecipeSpec) if f.name not in RECIPE_DESCRIPTION)
    return [f"{name}=" for name in known if name.startswith(incomplete)]


def model_options(incomplete: str) -> list[str]:
    """Complete an option of the models that are given, and the values that it may have."""
    found: dict[str, Sequence[object]] = {}
    with suppress(UserError):
        for name in _given("model"):
            found |= {o: option.choices or () for o, option in registry().get("model", name).options.items()}
    texts = [text for name, values in found.items() for text in (f"{name}=", *(f"{name}={v}" for v in values))]
    return [text for text in texts if text.startswith(incomplete)]
