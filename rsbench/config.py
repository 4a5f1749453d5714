"""Suite files: many runs in one YAML file, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsbench.errors import UserError, UserErrors
from rsbench.plan import RunRequest


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
    from rsbench.suites.schema import check, merged

    problems = check(content, str(path))
    if problems:
        raise UserErrors(problems)
    runs = [merged(content.get("defaults") or {}, run) for run in content["runs"]]
    problems = [
        f"{path}: run {number} has no '{key}'."
        for number, run in enumerate(runs, start=1)
        for key in ("model", "dataset")
        if key not in run
    ]
    if problems:
        raise UserErrors(problems)
    return [_request(run, common) for run in runs]


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


def parse_seeds(value: str | int | Sequence[int]) -> tuple[int, ...]:
    """Turn ``3``, ``"0-4"``, ``"0,2,5-7"`` or a list into seeds.

    Raises:
        UserError: it is none of these.
    """
    parts = str(value).split(",") if isinstance(value, str | int) else value
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
