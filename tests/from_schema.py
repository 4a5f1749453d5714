"""Documents that fit a JSON Schema, for the keywords that ours use; hypothesis-jsonschema does not run with the
hypothesis of today."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES
)
ANY = st.recursive(PLAIN, lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=3), max_leaves=5)


def documents(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return documents that fit a schema; lists and what is open in objects have up to three items."""
    known: dict[str, st.SearchStrategy[Any]] = {}
    for name, part in schema.get("$defs", {}).items():
        known[name] = st.deferred(lambda part=part: _of(part, known))  # type: ignore[misc]
    return _of(schema, known)


def _of(schema: Any, known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    if schema is True or not schema:
        return ANY
    if "$ref" in schema:
        return known[schema["$ref"].rpartition("/")[2]]
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if several := schema.get("oneOf") or schema.get("anyOf"):
        return st.one_of(*(_of(one, known) for one in several))
    kind = schema.get("type")
    if kind == "object":
        return _objects(schema, known)
    if kind == "array":
        items, least = schema.get("items", True), schema.get("minItems", 0)
        return st.lists(_of(items, known), min_size=least, max_size=min(schema.get("maxItems", 3), max(3, least)))
    return _plain(kind, schema)


def _plain(kind: Any, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    least, most = schema.get("minimum"), schema.get("maximum")
    above = "exclusiveMinimum" in schema
    if kind == "integer":
        return st.integers(least, most)
    if kind == "number":
        low = schema["exclusiveMinimum"] if above else least
        return st.floats(low, most, exclude_min=above, allow_nan=False, allow_infinity=False).filter(math.isfinite)
    if kind == "string" and "pattern" in schema:
        return _matching(schema["pattern"])
    return {"string": NAMES, "boolean": st.booleans(), "null": st.none()}.get(kind, ANY)


def _objects(schema: dict[str, Any], known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    parts = {name: _of(part, known) for name, part in schema.get("properties", {}).items()}
    required = {name: parts.pop(name) for name in schema.get("required", ())}
    named = st.fixed_dictionaries(required, optional=parts)
    more = schema.get("additionalProperties", True)
    open_parts = [(_matching(one), _of(part, known)) for one, part in schema.get("patternProperties", {}).items()]
    if more is not False:
        open_parts.append((NAMES.filter(lambda name: name not in schema.get("properties", {})), _of(more, known)))
    others = [st.dictionaries(names, values, max_size=2) for names, values in open_parts]
    return st.builds(lambda *found: {k: v for one in reversed(found) for k, v in one.items()}, named, *others)


def _matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern.replace("$", r"\Z"), alphabet=st.characters(codec="ascii"))
