"""What rsbench ships, kind by kind, read from the specs."""

from __future__ import annotations

from typing import Any, Final

from docs.generator.text import DISTRIBUTION, code, table
from rsbench.cli.listing import COLUMNS, PLURALS
from rsbench.registry import registry

INTRODUCTION: Final = """# Catalog

What comes with rsbench, each by the plugin that gives it. `rsbench list` shows the same with what other packages add,
and `rsbench show NAME` everything about one: options, license, citation, and which part of a published system is the
paper's, the code's or ours.
"""
SHOWN: Final = (
    "dataset",
    "protocol",
    "model",
    "recipe",
    "loss",
    "metric",
    "optimizer",
    "format",
    "exporter",
    "launcher",
)


def page() -> str:
    """Return the page."""
    plural = {kind: name for name, kind in PLURALS.items()}
    return "\n\n".join([INTRODUCTION, *(f"## {plural[kind].capitalize()}\n\n{_table(kind)}" for kind in SHOWN)]) + "\n"


def _table(kind: str) -> str:
    found, columns = registry(), COLUMNS.get(kind, ())
    own = [name for name in found.names(kind) if found.origin(kind, name).distribution == DISTRIBUTION]
    rows: list[list[Any]] = []
    for name in own:
        spec = found.specs(kind)[name]
        rows.append([code(name), found.origin(kind, name).plugin, *(get(spec) for _, get in columns), spec.summary])
    return table(["name", "plugin", *(header for header, _ in columns), ""], rows)
