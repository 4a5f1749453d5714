"""Checks of every spec: that it can be read, written, sent to another process, and that the code it names exists."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import Spec, SpecError, load_attribute, to_jsonable
from rsbench.testing.contract import CheckFailure, Checks, NotApplicable, require

CHECKS: Final = Checks()
FAMILY_CHECKS: Final = Checks()
_CODE: Final = (
    "factory",
    "source",
    "fake",
    "golden",
    "split",
    "resolver",
    "members",
    "render",
    "samples",
    "write",
    "read",
    "build",
    "pool",
    "run",
    "run_id",
    "checked",
    "recounted",
)


@CHECKS(
    "complete",
    reason="what a reader needs to judge a result is its summary, license and version",
    remedy="fill in the fields that are named",
)
def complete(spec: Spec) -> None:
    """The summary is a sentence; version and, where there is one, license are stated."""
    require(
        spec.summary.strip().endswith("."), f"summary '{spec.summary}' is not a sentence that ends with a full stop"
    )
    require("\n" not in spec.summary, "summary has more than one line")
    require(spec.version, "version is empty")
    for name in ("license", "tasks"):
        require(getattr(spec, name, True), f"{name} is empty")


@CHECKS(
    "json",
    reason="records, lists and other programs take specs as JSON",
    remedy="keep to text, numbers, booleans, None, lists, tuples and mappings in the spec; name code as 'module:name'",
)
def jsonable(spec: Spec) -> None:
    """The spec can be written as JSON, without NaN, and read again."""
    try:
        json.dumps(to_jsonable(spec), allow_nan=False)
    except (SpecError, ValueError) as error:
        raise CheckFailure(f"it cannot be written as JSON: {error}") from None


@CHECKS(
    "picklable",
    reason="runs and the preparation of data happen in other processes, which get the spec by pickle",
    remedy="use plain dicts and tuples, and no functions, lambdas or classes made inside a function",
)
def picklable(spec: Spec) -> None:
    """The spec survives pickling unchanged."""
    try:
        again = pickle.loads(pickle.dumps(spec))
    except Exception as error:
        raise CheckFailure(f"it cannot be pickled: {type(error).__name__}: {error}") from None
    require(again == spec, "it is another spec after pickling")


@CHECKS(
    "code",
    reason="a name that leads nowhere is found out only when someone runs it",
    remedy="mend the 'module:attribute' that is named",
)
def code(spec: Spec) -> None:
    """Every ``module:attribute`` that the spec names can be imported and called."""
    for field in dataclasses.fields(spec):
        path = getattr(spec, field.name)
        if field.name in _CODE and isinstance(path, str) and path:
            try:
                found = load_attribute(path)
            except (ImportError, SpecError) as error:
                raise CheckFailure(f"{field.name}='{path}' cannot be imported: {error}") from None
            require(callable(found) or isinstance(found, Mapping), f"{field.name}='{path}' cannot be called")


@CHECKS(
    "names",
    reason="a spec that leans on a recipe, loss, task or protocol which is not there cannot be run",
    remedy="mend the name, or ship what it names",
)
def names(spec: Spec) -> None:
    """All that the spec refers to by name is installed."""
    for kind, name in _references(spec):
        try:
            registry().get(kind, name)
        except UserError as error:
            raise CheckFailure(str(error)) from None


def _references(spec: Any) -> Iterator[tuple[str, str]]:
    """Yield (kind, name) of what a spec refers to."""
    for task in getattr(spec, "tasks", ()):
        yield "task", task
    if getattr(spec, "task", None):
        yield "task", spec.task
    for recipe in (*getattr(spec, "recipes", ()), *filter(None, [getattr(spec, "recipe", None)])):
        yield "recipe", recipe
    if getattr(spec, "default_protocol", None):
        yield "protocol", spec.default_protocol
    if isinstance(getattr(spec, "loss", None), str):
        yield "loss", spec.loss
    for metric in getattr(spec, "metrics", ()):
        yield "metric", metric


@FAMILY_CHECKS(
    "members",
    reason="names complete and are suggested from the family's list",
    remedy="let 'members(pattern)' return names by shell pattern, and 'resolver(member)' the spec of each or None",
)
def members(spec: Any) -> None:
    """The family lists members, resolves the first of them, and knows no nonsense."""
    require(spec.resolver and spec.members, "a family needs 'resolver' and 'members'")
    resolve, listed = load_attribute(spec.resolver), load_attribute(spec.members)
    found = list(listed("*"))
    require(found, "members('*') is empty")
    require(list(listed(found[0])) == [found[0]], f"members('{found[0]}') is not that member alone")
    made = resolve(found[0])
    require(made is not None, f"members('*') names '{found[0]}', which the resolver does not know")
    prefix = spec.name.removesuffix("*")
    require(made.name == prefix + found[0], f"the spec of member '{found[0]}' is called '{made.name}'")
    require(resolve("no such member") is None, "the resolver gives a spec for 'no such member' and not None")


@FAMILY_CHECKS(
    "example",
    reason="the kit builds one member of a family and runs every check on it",
    remedy="name a small member that needs no download as 'example'",
)
def example(spec: Any) -> None:
    """An example is named and can be resolved."""
    if not hasattr(spec, "example"):
        raise NotApplicable("this kind of family has no examples")
    require(spec.example, "no example is named")
    require(load_attribute(spec.resolver)(spec.example), f"the resolver does not know the example '{spec.example}'")
