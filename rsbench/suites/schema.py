"""What a suite file may hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import product
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rsbench.errors import did_you_mean
from rsbench.specs import PRECISIONS, RECIPE_DESCRIPTION, RecipeSpec
from rsbench.suites.document import Lines

RECIPE_FIELDS: Final = tuple(f.name for f in dataclasses.fields(RecipeSpec) if f.name not in RECIPE_DESCRIPTION)


def _changes(value: dict[str, Any]) -> dict[str, Any]:
    """The schema of changes of a recipe, of which each is a *value*."""
    return {
        "type": "object",
        "properties": dict.fromkeys(RECIPE_FIELDS, value),
        "patternProperties": {rf"^({'|'.join(RECIPE_FIELDS)})\.": value},
        "additionalProperties": False,
    }


CHANGES: Final = _changes({})
GRID: Final = _changes({"type": "array", "minItems": 1})


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Run(_Part):
    """One entry of a suite: models on a dataset.  What it leaves out is as in the suite's defaults."""

    model: str | list[str] | None = Field(None, description="One model, several with commas, or a list.")
    dataset: str | None = Field(None, description="Name of a dataset: rsbench list datasets.")
    protocol: str | None = Field(None, description="Default: the dataset's own.")
    recipe: str | None = Field(None, description="Default: the protocol's standard one; 'author' is the model's own.")
    seeds: str | int | list[int] | None = Field(None, description="Such as 3, 0-4 or [0, 2]; default: the protocol's.")
    set: dict[str, Any] | None = Field(
        None,
        description="Changes of the recipe; dots reach into a part, as in loss_options.gamma.",
        json_schema_extra={"anyOf": [CHANGES, {"type": "null"}]},
    )
    grid: dict[str, list[Any]] | None = Field(
        None,
        description="Changes of the recipe with several values each: every combination is run.",
        json_schema_extra={"anyOf": [GRID, {"type": "null"}]},
    )
    options: dict[str, Any] | None = Field(None, description="Options of the models: rsbench show MODEL.")
    precision: str | None = Field(None, description=" | ".join(PRECISIONS), examples=list(PRECISIONS))
    overfit: int | None = Field(None, ge=1, description="Train and test on this many training images.")
    train_fraction: float | None = Field(
        None, gt=0, le=1, description="Share of the images of each class in training and validation."
    )
    shots: int | None = Field(None, ge=1, description="Images of each class in training and in validation.")


class Suite(_Part):
    """A suite of runs, for ``rsbench run --suite FILE``."""

    name: str | None = Field(None, description="Name of the suite.")
    defaults: Run | None = Field(None, description="What all runs have in common.")
    runs: list[Run] = Field(min_length=1, description="The runs, in order.")


def check(content: Any, source: str, lines: Lines) -> tuple[list[str], set[int]]:
    """Return every problem of the content of a suite file, with its line and run, and the numbers of such runs."""
    try:
        Suite.model_validate(content)
    except ValidationError as error:
        wrong = error.errors()
        found = (_problem(e["loc"], e["type"], e["msg"], content, source, lines) for e in wrong)
        runs = {int(e["loc"][1]) for e in wrong if e["loc"][:1] == ("runs",) and len(e["loc"]) > 1}
        return [problem for problem in dict.fromkeys(found) if problem], runs
    return [], set()


def _problem(place: tuple[int | str, ...], kind: str, message: str, content: Any, source: str, lines: Lines) -> str:
    """Say what is wrong at *place* of *content*; nothing of those branches of a union that a value is not of."""
    if place[:1] in ((), ("runs",)) and len(place) < 2:
        return f"{source} is not a suite: it needs a list 'runs'."
    model: type[BaseModel] = Suite
    where, value = f"{source}, line {_line(place, lines)}", content
    if place[0] in ("runs", "defaults"):
        rest = 2 if place[0] == "runs" else 1
        where += f": run {int(place[1]) + 1}" if place[0] == "runs" else ": defaults"
        value = content[place[0]][place[1]] if place[0] == "runs" else content[place[0]]
        model, place = Run, place[rest:]
    if not place:
        return f"{where} is not a mapping of keys to values."
    key = str(place[0])
    known = tuple(model.model_fields)
    if kind == "extra_forbidden" and len(place) == 1:
        return f"{where} has an unknown key '{key}'.{did_you_mean(key, known)} Keys: {', '.join(known)}."
    types = [get_origin(t) or t for t in get_args(model.model_fields[key].annotation) if t is not type(None)]
    given = type(value[key])
    if given not in types:
        return f"{where}: '{key}' is {given.__name__}, not {' or '.join(t.__name__ for t in types)}."
    if len(types) > 1 and not str(place[1]).startswith(given.__name__):
        return ""
    return f"{where}: '{key}' is wrong: {message[0].lower()}{message[1:]}."


def _line(place: tuple[int | str, ...], lines: Lines) -> int:
    """Return the line of a value, or of what it is in."""
    return lines[place] if place in lines else _line(place[:-1], lines)


def combinations(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the changes of a run's recipe for each combination of its grid, the last field fastest.

    Values that are equal are one.
    """
    grid = {
        name: [v for k, v in enumerate(values) if v not in values[:k]] for name, values in run.get("grid", {}).items()
    }
    return [run.get("set", {}) | dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def merged(defaults: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run with the defaults of its suite; what is null is left out."""
    return {key: value for key, value in {**defaults, **run}.items() if value is not None}
