"""A recipe as a run takes it: the named one, with changes and options checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, Final

from rsbench.errors import UserError, UserErrors, did_you_mean
from rsbench.registry import registry
from rsbench.specs import (
    PRECISIONS,
    RECIPE_DESCRIPTION,
    ModelSpec,
    Option,
    Phase,
    ProtocolSpec,
    RecipeSpec,
    load_attribute,
    to_jsonable,
)


def resolve_recipe(
    name: str | None,
    changes: Mapping[str, Any],
    protocol: ProtocolSpec,
    model: ModelSpec,
    problems: list[str],
    *,
    tolerant: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Return the resolved recipe and whether it is the protocol's standard one, unchanged.

    Args:
        protocol: whose standard recipe it may be, and whose task it is for.
        model: whose authors' recipe it may be.
        problems: gets a sentence for each mistake.
        name: a recipe, ``author`` for the model's own, or ``None`` for the protocol's.
        changes: dotted fields to values.
        tolerant: leave task options of other tasks out instead of noting them as problems.
    """
    name = name or protocol.recipe
    if name == "author":
        if not model.recipes:
            problems.append(f"Model '{model.name}' ships no recipe of its authors; leave --recipe out.")
            return {}, False
        name = model.recipes[0]
    spec = attempt(problems, partial(registry().get, "recipe", name))
    if spec is None:
        return {}, False
    recipe = to_jsonable(spec)
    del recipe["provenance"]  # for readers of the spec; what is trained does not rest on it
    if spec.fit is not None:
        recipe = {name: recipe[name] for name in FIT_FIELDS}
        if protocol.task not in spec.tasks:
            problems.append(f"Recipe '{spec.name}' is for {', '.join(spec.tasks)}, not for {protocol.task}.")
    for key, value in sorted(changes.items(), key=lambda change: change[0] != "phases"):  # which say the epochs
        _change(recipe, key, value, problems)
    loss = attempt(problems, partial(registry().get, "loss", recipe["loss"]))
    if loss is not None:
        recipe["loss_options"] = resolve_options(loss.options, recipe["loss_options"], f"loss '{loss.name}'", problems)
        if protocol.task not in loss.tasks:
            problems.append(f"Loss '{loss.name}' is for {', '.join(loss.tasks)}, not for {protocol.task}.")
    _check_task_options(recipe, protocol.task, problems, tolerant)
    recipe = {key: value for key, value in recipe.items() if key not in ADDED_FIELDS or value != ADDED_FIELDS[key]}
    return recipe, name == protocol.recipe and not changes


def _check_task_options(recipe: dict[str, Any], task: str, problems: list[str], tolerant: bool) -> None:
    """Note task options that the task does not know, or leave them out."""
    known = registry().get("task", task).options
    given = recipe["task_options"]
    if tolerant:
        recipe["task_options"] = {k: v for k, v in given.items() if k in known}
        return
    for name in given:
        if name not in known:
            problems.append(
                f"{task} has no task option '{name}'.{did_you_mean(name, known)} Options: {', '.join(known) or 'none'}."
            )


# Fields younger than the first records: at these defaults a plan leaves them out, so that run ids stay what they were.
ADDED_FIELDS: Final[dict[str, Any]] = {"validate_from": 1, "drop_last": True, "fit": None, "fit_options": {}}
# What a recipe with a ``fit`` holds.
FIT_FIELDS: Final = (
    *(name for name in RECIPE_DESCRIPTION if name != "provenance"),
    *("fit", "fit_options", "precision", "loss", "loss_options", "augmentation", "task_options"),
)


def fit_of(recipe: Mapping[str, Any]) -> Any:
    """Return what a plan's recipe names as its ``fit``, imported; ``None`` where training is by epochs.

    Raises:
        UserError: no installed recipe names it: that of a record or a file may name anything.
    """
    path = recipe.get("fit")
    if path is None:
        return None
    if path not in {spec.fit for spec in registry().specs("recipe").values()}:
        raise UserError(f"No installed recipe fits networks by '{path}': install the plugin that has it.")
    return load_attribute(path)


def changes_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a plan's recipe differs from the installed one of its name, as ``--set`` takes it; nothing where there
    is none."""
    spec, loss = registry().find("recipe", recipe.get("name") or ""), registry().find("loss", recipe.get("loss") or "")
    if spec is None:
        return {}
    declared = to_jsonable(spec)
    defaults = {name: option.default for name, option in loss.options.items()} if loss else {}
    declared["loss_options"] = defaults | declared["loss_options"]
    found: dict[str, Any] = {}
    for name, value in {**ADDED_FIELDS, **recipe}.items():
        was = declared.get(name)
        if name in RECIPE_DESCRIPTION or name not in declared or value == was:
            continue
        if isinstance(value, Mapping) and isinstance(was, Mapping) and value.keys() >= was.keys():
            found |= {f"{name}.{part}": one for part, one in value.items() if part not in was or one != was[part]}
        else:
            found[name] = value
    return found


def _change(recipe: dict[str, Any], key: str, value: Any, problems: list[str]) -> None:
    """Set a (dotted) field of a recipe."""
    first, dot, rest = key.partition(".")
    known = [name for name in RECIPE_TYPES if name in recipe]
    if first not in known:
        problems.append(f"A recipe has no field '{first}'.{did_you_mean(first, known)} Fields: {', '.join(known)}.")
    elif dot and not isinstance(recipe[first], dict):
        problems.append(f"Recipe field '{first}' has no parts: set it with --set {first}=VALUE.")
    elif dot and first == "fit_options" and rest not in recipe[first]:
        said = f"{did_you_mean(rest, recipe[first])} Options: {', '.join(recipe[first]) or 'none'}."
        problems.append(f"Recipe '{recipe['name']}' has no option '{rest}'.{said}")
    elif dot:
        recipe[first][rest] = value
    elif not _fits(value, RECIPE_TYPES[first]):
        problems.append(f"Recipe field '{first}' is {RECIPE_TYPES[first][1]}; '{value}' is not.")
    elif first == "phases":
        recipe["phases"] = phases = [_phase(recipe, number, one, problems) for number, one in enumerate(value, 1)]
        recipe["epochs"] = sum(phase["epochs"] for phase in phases) or recipe["epochs"]
    elif first == "epochs" and recipe["phases"] and value != recipe["epochs"]:
        problems.append(
            "The phases of this recipe have epochs of their own: set phases=[] as well to change its epochs."
        )
    else:
        recipe[first] = value


def _phase(recipe: Mapping[str, Any], number: int, given: Any, problems: list[str]) -> dict[str, Any]:
    """Return a phase as plans hold it; what it overrides is what the recipe could be changed to."""
    phase = to_jsonable(Phase(epochs=1)) | (given if isinstance(given, dict) else {})
    found: list[str] = []
    if (
        not isinstance(given, dict)
        or len(phase) > len(fields(Phase))
        or not _fits(phase["overrides"], _KINDS["Mapping[str, Any]"])
    ):
        found.append(f"it has epochs, train_only and overrides, a mapping; '{given}' has not")
    elif "epochs" not in given or not _fits(phase["epochs"], _KINDS["int"]):
        found.append(f"its epochs are a whole number; '{given.get('epochs')}' is not")
    else:
        for key, value in phase["overrides"].items():
            if "." in str(key):
                found.append(f"it overrides whole fields, not '{key}'")
            else:
                _change({**recipe, "phases": []}, str(key), value, found)
        try:
            re.compile(phase["train_only"] or "")
        except (re.error, TypeError):
            found.append(f"train_only is a regular expression over names of parameters; '{phase['train_only']}' is not")
    problems += [f"Phase {number} of the recipe: {said.rstrip('.')}." for said in found]
    return to_jsonable(Phase(epochs=1)) if found else phase


# Declared type of a field -> (types, what they are called); a whole number may stand for a float.
_KINDS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "str": ((str,), "a name"),
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "int | None": ((int, type(None)), "a whole number or none"),
    "float": ((int, float), "a number"),
    "float | None": ((int, float, type(None)), "a number or none"),
    "Mapping[str, Any]": ((dict,), "a mapping"),
    "tuple[str, ...]": ((list,), "a list of patterns"),
    "tuple[Phase, ...]": ((list,), "a list"),
}
_FIXED: Final = (*RECIPE_DESCRIPTION, "fit")
RECIPE_TYPES: Final = {f.name: _KINDS[str(f.type)] for f in fields(RecipeSpec) if f.name not in _FIXED}
RECIPE_TYPES["precision"] = ((str,), f"one of {', '.join(PRECISIONS)}")


def _fits(value: Any, expected: tuple[tuple[type, ...], str]) -> bool:
    """Whether a value has one of the types; numbers are not negative, and whole ones (batch, epochs) are positive."""
    types, _ = expected
    if isinstance(value, bool) or not isinstance(value, types):
        return isinstance(value, bool) and bool in types
    if isinstance(value, (int, float)):
        return value > 0 or (value == 0 and float in types)
    return True


def resolve_options(
    declared: Mapping[str, Option], given: Mapping[str, Any], owner: str, problems: list[str]
) -> dict[str, Any]:
    """Return every declared option with its value; note unknown names and values that cannot be.

    Args:
        declared: by the spec: name -> option.
        given: by the user: name -> value.
        owner: of the options in a sentence, such as "model 'bmta'".
        problems: gets a sentence for each mistake.
    """
    values = {name: option.default for name, option in declared.items()}
    for name, value in given.items():
        if name not in declared:
            known = ", ".join(declared) or "none"
            problems.append(f"The {owner} has no option '{name}'.{did_you_mean(name, declared)} Options: {known}.")
            continue
        option = declared[name]
        value = _like(value, option.default)
        if option.choices is not None and value not in option.choices:
            choices = ", ".join(str(c) for c in option.choices)
            problems.append(f"Option '{name}' of {owner} is one of {choices}; '{value}' is not.")
        values[name] = value
    return values


def _like(value: Any, default: Any) -> Any:
    """Turn a whole number into a float, a number into text, and a list into a tuple, where the default says so."""
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, str) and isinstance(value, (int, float, bool)):
        return str(value)
    return value


def attempt(problems: list[str], action: Callable[[], Any]) -> Any:
    """Run *action*; note a usage error and return ``None``."""
    try:
        return action()
    except UserErrors as error:
        problems.extend(error.problems)
    except UserError as error:
        problems.append(str(error))
    return None
