"""Suite files: many runs in one YAML file, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rsbench.errors import UserError, UserErrors, did_you_mean
from rsbench.plan import RunRequest

TOP: Final = ("name", "defaults", "runs")
RUN: Final = ("model", "dataset", "protocol", "recipe", "seeds", "set", "options", "precision", "overfit")
TYPES: Final[dict[str, tuple[type, ...]]] = {
    "model": (str, list),
    "dataset": (str,),
    "protocol": (str,),
    "recipe": (str,),
    "seeds": (str, int, list),
    "set": (dict,),
    "options": (dict,),
    "precision": (str,),
    "overfit": (int,),
}


def load_suite(path: Path, **common: Any) -> list[RunRequest]:
    """Read a suite file and return its requests; *common* fields (device, out, ...) go into each.

    Raises:
        UserErrors: every unknown key and wrong value, each with the file and the number of the run.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The suite file {path} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict) or not isinstance(content.get("runs"), list) or not content["runs"]:
        raise UserError(f"{path} is not a suite: it needs a list 'runs'.")
    problems = _unknown(content, TOP, str(path))
    defaults = content.get("defaults") or {}
    problems += _check(defaults, f"{path}: defaults")
    requests = []
    for number, run in enumerate(content["runs"], start=1):
        where = f"{path}: run {number}"
        found = _check(run, where)
        merged = {**defaults, **run} if isinstance(run, dict) else {}
        found += [f"{where} has no '{key}'." for key in ("model", "dataset") if not found and key not in merged]
        problems += found
        if not problems:
            requests.append(_request(merged, common))
    if problems:
        raise UserErrors(problems)
    return requests


def _unknown(content: Mapping[str, Any], known: tuple[str, ...], where: str) -> list[str]:
    return [
        f"{where} has an unknown key '{key}'.{did_you_mean(str(key), known)} Keys: {', '.join(known)}."
        for key in content
        if key not in known
    ]


def _check(run: Any, where: str) -> list[str]:
    if not isinstance(run, dict):
        return [f"{where} is not a mapping of keys to values."]
    problems = _unknown(run, RUN, where)
    for key, value in run.items():
        if key in TYPES and not isinstance(value, TYPES[key]):
            names = " or ".join(t.__name__ for t in TYPES[key])
            problems.append(f"{where}: '{key}' is {type(value).__name__}, not {names}.")
    return problems


def _request(run: Mapping[str, Any], common: Mapping[str, Any]) -> RunRequest:
    models = run["model"].split(",") if isinstance(run["model"], str) else run["model"]
    options = run.get("options", {})
    return RunRequest(
        models=tuple((m.strip(), options) for m in models),
        dataset=run["dataset"],
        protocol=run.get("protocol"),
        recipe=run.get("recipe"),
        changes=run.get("set", {}),
        seeds=parse_seeds(run["seeds"]) if "seeds" in run else None,
        precision=run.get("precision"),
        overfit=run.get("overfit"),
        **common,
    )


def parse_seeds(value: str | int | list[int]) -> tuple[int, ...]:
    """Turn ``3``, ``"0-4"``, ``"0,2,5-7"`` or a list into seeds.

    Raises:
        UserError: it is none of these.
    """
    parts = value if isinstance(value, list) else str(value).split(",")
    seeds: list[int] = []
    try:
        for part in parts:
            low, dash, high = str(part).strip().partition("-")
            seeds += range(int(low), int(high) + 1) if dash else [int(low)]
    except ValueError:
        raise UserError(f"'{value}' does not name seeds: use forms such as 3, 0-4 or 0,2,5.") from None
    if not seeds:
        raise UserError(f"'{value}' names no seed.")
    return tuple(dict.fromkeys(seeds))


def parse_value(text: str) -> Any:
    """Read the value of ``KEY=VALUE`` as YAML, with ``1e-3`` as a number."""
    import yaml

    try:
        return (
            float(text)
            if "e" in text.lower() and text.lower().replace("e", "").strip("+-.0123456789") == ""
            else yaml.safe_load(text)
        )
    except (ValueError, yaml.YAMLError):
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
