"""Suite files: many runs in one YAML file, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final

from rsbench import reading
from rsbench.errors import UserError, UserErrors
from rsbench.plan import RunRequest
from rsbench.recipes import attempt
from rsbench.registry import registry

MOST_SEEDS: Final = 10_000
MOST_COMBINATIONS: Final = 10_000  # of a grid
LARGEST_SEED: Final = 2**63 - 1  # of PyTorch


def load_suite(path: Path, **common: Any) -> list[RunRequest]:
    """Read a suite file and return its requests; *common* fields (device, out, ...) go into each.

    Raises:
        UserErrors: every unknown key and wrong value, each with the file, its line and the number of the run; where
            there are some, names of models and data that are not known as well.
    """
    from rsbench.suites.document import parse
    from rsbench.suites.schema import check, merged

    where = f"The suite file {path}"
    content, lines = parse(reading.decoded(reading.content_of(path, where), where), str(path))
    problems, wrong = check(content, str(path), lines)
    if not isinstance(content, dict) or not isinstance(content.get("runs"), list):
        raise UserErrors(problems)
    defaults = content["defaults"] if isinstance(content.get("defaults"), dict) else {}
    requests: list[RunRequest] = []
    for number, run in enumerate(content["runs"]):
        origin = f"{path}, line {lines['runs', number]}: run {number + 1}"
        if number not in wrong:
            requests += attempt(problems, partial(_requests, merged(defaults, run), common, origin)) or []
    if problems:
        raise UserErrors([*problems, *(p for request in requests for p in _unknown(request))])
    return requests


def _requests(run: Mapping[str, Any], common: Mapping[str, Any], origin: str) -> list[RunRequest]:
    """Return the requests of an entry, one for each combination of its grid.

    Raises:
        UserErrors: it lacks a key, names no seeds, or has too large a grid.
    """
    from rsbench.suites.schema import combinations

    problems = [f"{origin} has no '{key}'." for key in ("model", "dataset") if key not in run]
    try:
        seeds = parse_seeds(run["seeds"]) if "seeds" in run else None
    except UserError as error:
        problems.append(f"{origin}: {error}")
    grid = run.get("grid", {})
    if (many := prod(map(len, grid.values()))) > MOST_COMBINATIONS:
        problems.append(f"{origin}: its grid has {many:,} combinations, {MOST_COMBINATIONS:,} are the most.")
    problems += [f"{origin}: '{name}' of the grid has no values." for name, values in grid.items() if not values]
    problems += [f"{origin}: '{name}' is in the grid and in 'set'." for name in grid if name in run.get("set", {})]
    if problems:
        raise UserErrors(problems)
    models = run["model"].split(",") if isinstance(run["model"], str) else run["model"]
    options = run.get("options", {})
    return [
        RunRequest(
            models=tuple((m.strip(), options) for m in models),
            dataset=run["dataset"],
            protocol=run.get("protocol"),
            recipe=run.get("recipe"),
            changes=changes,
            seeds=seeds,
            precision=run.get("precision"),
            overfit=run.get("overfit"),
            train_fraction=run.get("train_fraction"),
            shots=run.get("shots"),
            origin=origin,
            **common,
        )
        for changes in combinations(run)
    ]


def _unknown(request: RunRequest) -> list[str]:
    """Return what is known of a run's names where others are not even requests, so that all can be mended at once."""
    problems: list[str] = []
    named: list[tuple[str, str | None]] = [("model", name) for name, _ in request.models]
    named += [("dataset", request.dataset), ("protocol", request.protocol)]
    named += [("recipe", request.recipe)] if request.recipe != "author" else []
    for kind, name in named:
        if name is not None:
            attempt(problems, partial(registry().get, kind, name))
    return [f"{request.origin}: {problem}" for problem in problems]


def parse_seeds(value: str | int | Sequence[int]) -> tuple[int, ...]:
    """Turn ``3``, ``"0-4"``, ``"0,2,5-7"`` or a list into seeds.

    Raises:
        UserError: it is none of these, or names more than :data:`MOST_SEEDS`.
    """
    parts = str(value).split(",") if isinstance(value, str | int) else value
    seeds: list[int] = []
    try:
        for part in parts:
            low, dash, high = str(part).strip().partition("-")
            numbers = range(int(low), int(high) + 1 if dash else int(low) + 1)
            if len(seeds) + len(numbers[: MOST_SEEDS + 1]) > MOST_SEEDS or numbers.stop > LARGEST_SEED:
                raise UserError(f"'{value!s:.40}' names more than {MOST_SEEDS:,} seeds, or one above {LARGEST_SEED:,}.")
            seeds += numbers
    except ValueError:
        raise UserError(f"'{value!s:.40}' does not name seeds: use forms such as 3, 0-4 or 0,2,5.") from None
    if not seeds:
        raise UserError(f"'{value}' names no seed.")
    return tuple(dict.fromkeys(seeds))


def parse_value(text: str) -> Any:
    """Read the value of ``KEY=VALUE`` as YAML, with ``1e-3`` as a number; what is no YAML is text."""
    from rsbench.suites.document import parse

    try:
        if "e" in text.lower() and text.lower().replace("e", "").strip("+-.0123456789") == "":
            return float(text)
        return parse(text, "The value")[0]
    except (ValueError, UserError):
        return text


def parse_pairs(pairs: list[str], option: str) -> dict[str, Any]:
    """Turn ``["lr=0.1", "batch=32"]`` into a mapping.

    Raises:
        UserError: a pair has no ``=``.
    """
    result = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{option} takes KEY=VALUE; '{pair}' is not of this form.")
        result[key.strip()] = parse_value(value.strip())
    return result
