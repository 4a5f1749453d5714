"""Rows of one system whose recipes have the same name, told apart by what was changed in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rsbench.recipes import LATER
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
        options = [dict(_options(LATER | plans[place]["recipe"])) for place in places]
        names = sorted({name for each in options for name in each})
        differing = [name for name in names if any(each.get(name) != options[0].get(name) for each in options)]
        differing.sort(key=lambda name: any(isinstance(each.get(name), list) for each in options))
        for place, each in zip(places, options, strict=True):
            labels[place] += _said({name: each.get(name) for name in differing})
    return labels


def _options(recipe: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options of a recipe, those of a group as ``group.option``."""
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _options(value, f"{above}{name}.")
        elif above or name not in RECIPE_DESCRIPTION:
            yield above + name, value


def _said(options: Mapping[str, Any]) -> str:
    said = [f"{name}={value}" for name, value in options.items()]
    rest = [f"+{len(said) - SHOWN}"] if len(said) > SHOWN else []
    return f" ({', '.join(said[:SHOWN] + rest)})" if said else ""
