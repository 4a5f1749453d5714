"""Whether the fields of a spec are of their declared types: Python does not look, and readers rely on it."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from rsbench.specs import Spec

Check = Callable[[Any], bool]


def misfit(spec: Spec) -> str | None:
    """Return what is wrong with a spec, in a few words; ``None`` where all fields are as declared."""
    for name, hint, fits in _fields(type(spec)):  # type: ignore[arg-type]
        value = getattr(spec, name)
        if not fits(value):
            return f"{name} is {type(value).__name__} where {hint} is expected, or holds something else"
    return None


@cache
def _fields(kind: Any) -> tuple[tuple[str, str, Check], ...]:
    """Name, declared type and check of each field of a dataclass."""
    hints = get_type_hints(kind)
    return tuple((f.name, str(f.type), _check(hints[f.name])) for f in dataclasses.fields(kind))


def _check(hint: Any) -> Check:
    """Return the check of a type as the fields of specs are declared with; lists do where tuples are asked for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return _is_plain
    if origin in (Union, types.UnionType):
        several = [*map(_check, arguments)]
        return lambda value: any(fits(value) for fits in several)
    if origin is tuple and arguments[-1] is Ellipsis:
        one = _check(arguments[0])
        return lambda value: isinstance(value, (tuple, list)) and all(map(one, value))
    if origin is tuple:
        each = [*map(_check, arguments)]
        return lambda value: (
            isinstance(value, (tuple, list))
            and len(value) == len(each)
            and all(fits(v) for fits, v in zip(each, value, strict=True))
        )
    if origin is Mapping:
        key, item = map(_check, arguments)
        return lambda value: isinstance(value, Mapping) and all(key(k) and item(v) for k, v in value.items())
    if hint is float:
        return lambda value: isinstance(value, (int, float)) and math.isfinite(value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        fields = _fields(hint)
        return lambda value: isinstance(value, hint) and all(fits(getattr(value, name)) for name, _, fits in fields)
    return lambda value: isinstance(value, hint)


def _is_plain(value: Any) -> bool:
    """Whether a value can be written as JSON (see :func:`rsbench.specs.to_jsonable`)."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, str))
