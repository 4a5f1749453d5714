"""Rows that would read the same, told apart: by what was changed in their recipes, or by what else differs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from rsbench.plan import digest, group_of
from rsbench.recipes import ADDED_FIELDS
from rsbench.specs import RECIPE_DESCRIPTION

SHOWN: Final = 2


def recipe_labels(plans: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how the recipe of each row's plan is shown.

    That is its name, and where another row of the same system has a recipe of the same name, the options in which these
    differ, single values first: ``speedrun-long (epochs=45, warmup=2.0, +2)``.
    """
    labels = [plan["recipe"].get("name", "") for plan in plans]
    alike: dict[tuple[str, str], list[int]] = {}
    for place, plan in enumerate(plans):
        alike.setdefault((plan["model"]["label"], labels[place]), []).append(place)
    for places in (found for found in alike.values() if len(found) > 1):
        options = [dict(_options(ADDED_FIELDS | plans[place]["recipe"])) for place in places]
        names = sorted({name for each in options for name in each})
        differing = [name for name in names if any(each.get(name) != options[0].get(name) for each in options)]
        differing.sort(key=lambda name: any(isinstance(each.get(name), list) for each in options))
        texts = [_said({name: each.get(name) for name in differing}) for each in options]
        for place, text in zip(places, _short(texts), strict=True):
            labels[place] += f" ({text})" if text else ""
    return labels


class Named(Protocol):
    """A row of a board, as a reader knows it."""

    @property
    def system(self) -> str:
        """Name of the system."""

    @property
    def recipe(self) -> str:
        """As :func:`recipe_labels` shows it."""

    @property
    def division(self) -> str:
        """Division of the plan."""

    @property
    def facts(self) -> Sequence[Mapping[str, Any]]:
        """The records of its seeds."""


def system_labels(rows: Sequence[Named], shown: Collection[str] = ()) -> list[str]:
    """Return the name of each row's system, followed in brackets by what tells it from a row that reads the same.

    Args:
        shown: which of recipe and division stand in columns of their own; those of baselines are empty.
    """
    labels = [row.system for row in rows]
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        columns = ("" if getattr(row, "baseline", False) else getattr(row, name) for name in sorted(shown))
        alike.setdefault((row.system, *columns), []).append(place)
    for places in (found for found in alike.values() if len(found) > 1):
        marks = [_marks(rows[place]) for place in places]
        texts = _fewest(marks)
        for place, text in zip(places, texts, strict=True):
            labels[place] += f" [{text}]" if text else ""
    return labels


def _fewest(marks: Sequence[Mapping[str, str]]) -> list[str]:
    """The first of the marks in which rows differ, as many as it takes to tell all of them apart."""
    differing = [name for name in marks[0] if len({each[name] for each in marks}) > 1]
    texts = [""] * len(marks)
    for count in range(1, len(differing) + 1):
        texts = [", ".join(filter(None, (each[name] for name in differing[:count]))) for each in marks]
        if len({*texts}) == len(texts):
            break
    return texts


def _marks(row: Named) -> dict[str, str]:
    """What may tell a row from others of its system, what says most about it first."""
    plan = row.facts[0]["plan"]
    model, others = plan["model"], sum(len(group["members"]) - 1 for group in group_of(plan).values())
    hashes = {"weights": model.get("weights_sha256"), "code": model.get("source_sha256")}
    return {
        "recipe": row.recipe,
        "division": row.division,
        "group": f"with {others} other tasks" if others > 0 else "",
        "options": ", ".join(f"{k}={v}" for k, v in sorted(model.get("options", {}).items())),
        "version": f"version {model.get('version')}",
        **{name: f"{name} {sha[:8]}" if sha else "" for name, sha in hashes.items()},
        "record": f"record {digest([dict(fact) for fact in row.facts])[:8]}",
    }


def _options(recipe: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options of a recipe, those of a group as ``group.option``."""
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _options(value, f"{above}{name}.")
        elif above or name not in RECIPE_DESCRIPTION:
            yield above + name, value


def _said(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]


def _short(texts: Sequence[Sequence[str]]) -> list[str]:
    """Join each row's first texts, :data:`SHOWN` of them or as many as tell the rows apart; the rest is counted."""
    longest = max(map(len, texts))
    for count in range(min(SHOWN, longest), longest + 1):
        cut = [tuple(each[:count]) for each in texts]
        if len({*cut}) == len({tuple(each) for each in texts}):
            break
    return [", ".join([*each[:count], *([f"+{len(each) - count}"] if len(each) > count else [])]) for each in texts]
