"""The reference of the hooks, read from their declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from docs.generator.text import prose
from rsbench import hookspecs
from rsbench.registry import KINDS, OBSERVER_HOOKS

INTRODUCTION: Final = """# Hooks

A plugin is a module or object with any of these functions, each marked with `rsbench.hookimpl`, and named by an entry
point of the group `rsbench`. Every hook is optional. A hook may take fewer arguments than are offered. One that raises
becomes a problem that `rsbench plugins` shows, and the rest goes on.
"""


def hooks() -> dict[str, Callable[..., Any]]:
    """Return name -> declaration of every hook, in the order of the file."""
    found = vars(hookspecs).items()
    return {name: function for name, function in found if hasattr(function, f"{hookspecs.PROJECT}_spec")}


def page() -> str:
    """Return the page."""
    giving = [hook for hook, _ in KINDS.values()]
    others = [name for name in hooks() if name not in giving and name not in OBSERVER_HOOKS]
    groups = (("What a plugin gives", giving), ("Observers", OBSERVER_HOOKS), ("The rest", others))
    return "\n".join([INTRODUCTION, *(f"## {title}\n\n{_entries(names)}" for title, names in groups)])


def _entries(names: Any) -> str:
    return "\n".join(_entry(name, hooks()[name]) for name in names)


def _entry(name: str, function: Callable[..., Any]) -> str:
    signature = str(inspect.signature(function)).replace("'", "")
    return f"### {name}\n\n```text\n{name}{signature}\n```\n\n{prose(function.__doc__)}\n"
