"""The cases of a plugin: every check of every spec that it gives."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from rsbench.errors import UserError, did_you_mean
from rsbench.registry import KINDS, registry
from rsbench.specs import Spec, load_attribute
from rsbench.testing import plugin, specs
from rsbench.testing.contract import Case, Group

# Kind -> module whose ``groups(spec)`` yields more checks of a spec; imported when a spec of the kind is met.
MORE: Final = {
    "model": "rsbench.testing.models",
    "dataset": "rsbench.testing.datasets",
    "loss": "rsbench.testing.losses",
    "metric": "rsbench.testing.metrics",
    "task": "rsbench.testing.tasks",
    "recipe": "rsbench.testing.recipes",
    "protocol": "rsbench.testing.protocols",
}


def cases(name: str, only: str = "*") -> list[Case]:
    """Return the cases of an installed plugin whose ``kind/name/check`` matches the shell pattern *only*.

    Raises:
        UserError: there is no such plugin.
    """
    if name not in registry().plugins:
        raise UserError(f"There is no plugin '{name}'.{did_you_mean(name, registry().plugins)} See: rsbench plugins.")
    expected = registry().gather("rsbench_expected_failures").get(name, {})
    specs = [(k, s) for k in KINDS for s in registry().specs(k).values() if registry().origin(k, s.name).plugin == name]
    found = [case for k, spec in specs for group in groups(k, spec) for case in _cases(k, group, expected)]
    trial = plugin.PluginTrial(name, sorted(set(expected) - {case.key for case in found}))
    whole = _cases("plugin", Group(name, plugin.CHECKS, lambda: trial), expected)
    return [case for case in (*whole, *found) if fnmatchcase(case.key, only)]


def groups(kind: str, spec: Spec) -> Iterator[Group]:
    """Yield what is checked of a spec: its declaration, then what its kind does; of a family also its example."""
    yield Group(spec.name, specs.CHECKS, lambda: spec)
    if not spec.name.endswith(":*"):
        if kind in MORE:
            yield from importlib.import_module(MORE[kind]).groups(spec)
        for more in registry().gather("rsbench_checks").values():
            if kind in more:
                yield from load_attribute(more[kind])(spec)
        return
    yield Group(spec.name, specs.FAMILY_CHECKS, lambda: spec)
    member, resolver = getattr(spec, "example", None), getattr(spec, "resolver", None)
    resolved = load_attribute(resolver)(member) if member and resolver else None
    if resolved is not None:
        yield from groups(kind, resolved)


def _cases(kind: str, group: Group, expected: Mapping[str, str]) -> Iterator[Case]:
    make = cache(group.make)
    for check in group.checks:
        case = Case(kind, group.name, check, make)
        yield Case(kind, group.name, check, make, expected.get(case.key))
