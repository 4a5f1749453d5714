"""What is a reconstruction, read from tags and from what the claims of papers leave open."""

from __future__ import annotations

from typing import Any, Final

from docs.generator.text import DISTRIBUTION, code, table
from rsbench.registry import registry

INTRODUCTION: Final = """# What is reconstructed

Many published systems cannot be rebuilt from what their papers say. Where a setting is missing, rsbench fills it in,
says so, and tags the model or recipe `reconstruction`; `rsbench show NAME` prints the tag, and under `provenance` where
each part is from: the paper, the code of its authors, recalled (to be checked before it is quoted), or ours.
A result of a reconstruction is a measurement of what stands here. It neither confirms nor refutes the paper's number,
and where the two differ, the missing settings are the first explanation.

A model without the tag follows its authors' code, or is a library's, a baseline or rsbench's own. Numbers that a paper
reports are kept as data (`rsbench claims list`), checked for arithmetic (`rsbench claims check`), and stand below a
board, never in its ranking.

Nothing on this page is written by hand but these paragraphs.
"""


def shipped(kind: str) -> list[Any]:
    """Return the specs of one kind of the plugins that come with rsbench, sorted by name."""
    found = registry()
    names = [n for n in found.names(kind) if found.origin(kind, n).distribution == DISTRIBUTION]
    return [found.specs(kind)[name] for name in names]


def page() -> str:
    """Return the page."""
    models = [s for s in shipped("model") if "reconstruction" in s.tags]
    recipes = [s for s in shipped("recipe") if s.reconstruction]
    parts = [
        INTRODUCTION,
        "## Models\n",
        table(("model", "what stands here", "source, and what it leaves open"), [_row(s) for s in models]),
        "\n## Recipes\n",
        table(("recipe", "what stands here", "source"), [_row(s) for s in recipes]),
        "\n## Part by part\n",
        *(_parts(s) for s in (*models, *recipes) if s.provenance),
        "## What papers leave open\n",
        *(_claims(spec) for spec in shipped("claims")),
    ]
    return "\n".join(parts)


def _row(spec: Any) -> tuple[str, str, str]:
    return code(spec.name), spec.summary, spec.citation


def _parts(spec: Any) -> str:
    items = "\n".join(f"- {part}: {source}" for part, source in spec.provenance.items())
    return f"### {spec.name}\n\n{items}\n"


def _claims(spec: Any) -> str:
    measured = f" Nearest protocol here: {code(spec.measured_by)}." if spec.measured_by else ""
    uncertain = sum(claim.certainty == "recalled" for claim in spec.rows)
    doubt = f" {uncertain} of its {len(spec.rows)} numbers are recalled, not yet read again." if uncertain else ""
    head = f"### {spec.name}\n\n{spec.summary}\n\nProtocol as the paper states it: {spec.protocol}.{measured}{doubt}\n"
    items = "\n".join(f"- {item}" for item in spec.left_open) or "- nothing that is known here"
    return f"{head}\nA reader who wants to repeat it would have to know:\n\n{items}\n"
