"""Finds plugins through entry points, contains broken ones, and resolves names.

Each plugin is loaded, registered and asked in a ``try`` of its own.  Whatever it does wrong becomes a
:class:`Problem`; everything else goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Final

import pluggy

from rsbench import hookspecs
from rsbench.errors import Stopped, UserError, did_you_mean
from rsbench.specs import (
    ClaimSet,
    DatasetSpec,
    LossSpec,
    MetricSpec,
    ModelSpec,
    ProtocolSpec,
    RecipeSpec,
    Spec,
    TaskSpec,
    load_attribute,
)

KINDS: Final[dict[str, tuple[str, type[Spec]]]] = {
    "model": ("rsbench_models", ModelSpec),
    "dataset": ("rsbench_datasets", DatasetSpec),
    "loss": ("rsbench_losses", LossSpec),
    "metric": ("rsbench_metrics", MetricSpec),
    "protocol": ("rsbench_protocols", ProtocolSpec),
    "recipe": ("rsbench_recipes", RecipeSpec),
    "task": ("rsbench_tasks", TaskSpec),
    "claims": ("rsbench_claims", ClaimSet),
}
HEAVY: Final = ("torch", "torchvision", "timm", "torchgeo", "lightning", "pandas", "numpy", "scipy")
OBSERVER_HOOKS: Final = ("rsbench_run_start", "rsbench_epoch_end", "rsbench_run_end")
BLOCK_VARIABLE: Final = "RSBENCH_BLOCKED_PLUGINS"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one plugin.  A ``fatal`` one gives nothing; the others still work in part."""

    plugin: str
    distribution: str
    error: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' (distribution '{self.distribution}'): {self.error}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a spec comes from."""

    plugin: str
    distribution: str
    version: str


class Registry:
    """Specs by kind and name, with their origins, and the problems met on the way.  Built by :func:`load`."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.problems: list[Problem] = []
        self.plugins: dict[str, Origin] = {}
        self._specs: dict[str, dict[str, Spec]] = {kind: {} for kind in KINDS}
        self._origins: dict[tuple[str, str], Origin] = {}

    def specs(self, kind: str) -> dict[str, Any]:
        """Return name -> spec of one kind, families under their ``x:*`` names."""
        return dict(self._specs[kind])

    def names(self, kind: str) -> list[str]:
        """Sorted names of one kind, for lists and completion."""
        return sorted(self._specs[kind])

    def get(self, kind: str, name: str) -> Any:
        """Return the spec called *name*; ``family:member`` is resolved by its family.

        Raises:
            UserError: there is none; the message suggests near names and names plugins that could not be loaded.
        """
        spec = self.find(kind, name)
        if spec is None:
            raise UserError(self._unknown(kind, name, self._family(kind, name)))
        return spec

    def find(self, kind: str, name: str) -> Any:
        """Return the spec called *name* as :meth:`get` does, but ``None`` where there is none."""
        if name in self._specs[kind] and not name.endswith(":*"):
            return self._specs[kind][name]
        family = self._family(kind, name)
        if family is None or not family.resolver:  # type: ignore[attr-defined]
            return None
        return load_attribute(family.resolver)(name.partition(":")[2])  # type: ignore[attr-defined]

    def origin(self, kind: str, name: str) -> Origin:
        """Return where the spec called *name* (or its family) comes from."""
        if (kind, name) in self._origins:
            return self._origins[kind, name]
        family = self._family(kind, name)
        if family is None:
            raise UserError(self._unknown(kind, name, None))
        return self._origins[kind, family.name]

    def _family(self, kind: str, name: str) -> Spec | None:
        prefix, colon, _ = name.partition(":")
        return self._specs[kind].get(f"{prefix}:*") if colon else None

    def _unknown(self, kind: str, name: str, family: Spec | None) -> str:
        known: Iterable[str] = self._specs[kind]
        members = getattr(family, "members", None)
        if members:
            prefix = name.partition(":")[0]
            known = [f"{prefix}:{m}" for m in load_attribute(members)("*")]
        text = f"There is no {kind} '{name}'.{did_you_mean(name, known)} See: rsbench list {kind}."
        broken = [str(p) for p in self.problems if p.fatal]
        if broken:
            text += " It may come from a plugin that could not be loaded: " + "; ".join(broken) + "."
        return text

    def notify(self, hook: str, **arguments: Any) -> list[str]:
        """Call an observer hook of each plugin in turn; return the errors of those that raised."""
        errors = []
        for implementation in self._implementations(hook):
            try:
                _call(implementation, arguments)
            except (KeyboardInterrupt, Stopped):
                raise
            except BaseException as error:
                errors.append(f"{hook} of plugin '{implementation.plugin_name}' raised {_describe(error)}")
        return errors

    def observers(self) -> list[str]:
        """Sorted names of the plugins that want to be told of runs."""
        return sorted({i.plugin_name for hook in OBSERVER_HOOKS for i in self._implementations(hook)})

    def gather(self, hook: str) -> dict[str, Any]:
        """Merge the mappings that a hook returns, keyed by plugin; one that raises gives its error text."""
        facts: dict[str, Any] = {}
        for implementation in self._implementations(hook):
            try:
                facts[implementation.plugin_name] = dict(_call(implementation, {}))
            except Exception as error:
                facts[implementation.plugin_name] = {"error": _describe(error)}
        return facts

    def add_commands(self, app: Any) -> None:
        """Let plugins add commands to the Typer app."""
        for implementation in self._implementations("rsbench_commands"):
            try:
                _call(implementation, {"app": app})
            except BaseException as error:
                self._contain(implementation.plugin_name, error, "rsbench_commands")

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        return list(getattr(self.manager.hook, hook).get_hookimpls())

    def add(self, name: str, distribution: str, version: str, load_plugin: Callable[[], object]) -> None:
        """Load and register one plugin and take its specs; all it does wrong becomes a problem."""
        self.plugins[name] = Origin(name, distribution, version)
        before = set(sys.modules)
        try:
            plugin = load_plugin()
            self.manager.register(plugin, name=name)
        except BaseException as error:
            self._contain(name, error, None)
            self.manager.unregister(name=name) if self.manager.has_plugin(name) else None
            return
        new = {m.partition(".")[0] for m in set(sys.modules) - before}
        heavy = [m for m in HEAVY if m in new]
        if heavy:
            text = f"imports {', '.join(heavy)} at its top, which makes every command slow; import it where it is used"
            self.problems.append(Problem(name, distribution, text, fatal=False))
        self._check_hook_names(name, plugin, distribution)
        for kind, (hook, spec_type) in KINDS.items():
            self._take(name, kind, hook, spec_type)

    def _check_hook_names(self, name: str, plugin: object, distribution: str) -> None:
        known = {n for n in dir(hookspecs) if n.startswith("rsbench_")}
        for attribute in dir(plugin):
            marked = getattr(getattr(plugin, attribute, None), "rsbench_impl", None)
            if marked is not None and attribute not in known:
                text = f"'{attribute}' is not a hook.{did_you_mean(attribute, known)}"
                self.problems.append(Problem(name, distribution, text, fatal=False))

    def _take(self, name: str, kind: str, hook: str, spec_type: type[Spec]) -> None:
        """Take the specs that one plugin gives for one kind, all or (where it raises) none."""
        for implementation in self._implementations(hook):
            if implementation.plugin_name != name:
                continue
            try:
                specs = list(_call(implementation, {}))
            except BaseException as error:
                self._contain(name, error, hook)
                continue
            for spec in specs:
                self._take_one(name, kind, hook, spec, spec_type)

    def _take_one(self, name: str, kind: str, hook: str, spec: Any, spec_type: type[Spec]) -> None:
        origin = self.plugins[name]
        if not isinstance(spec, spec_type):
            text = f"{hook} gave {type(spec).__name__} where {spec_type.__name__} is expected"
            self.problems.append(Problem(name, origin.distribution, text, fatal=False))
        elif spec.name in self._specs[kind]:
            other = self._origins[kind, spec.name]
            text = f"{kind} '{spec.name}' is already taken by plugin '{other.plugin}' ('{other.distribution}')"
            self.problems.append(Problem(name, origin.distribution, text, fatal=False))
        else:
            self._specs[kind][spec.name] = spec
            self._origins[kind, spec.name] = origin

    def _contain(self, name: str, error: BaseException, hook: str | None) -> None:
        if isinstance(error, KeyboardInterrupt | Stopped):
            raise error
        where = f"{hook} raised " if hook else "could not be loaded: "
        self.problems.append(Problem(name, self.plugins[name].distribution, where + _describe(error)))


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    return implementation.function(**{n: arguments[n] for n in implementation.argnames})


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def load(blocked: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> Registry:
    """Load every installed plugin of the entry-point group ``rsbench``, sorted by name.

    ``RSBENCH_PLUGINS=a,b`` loads only those, ``RSBENCH_DISABLE_PLUGIN_AUTOLOAD=1`` none; a blocked one is never
    imported.
    """
    found = Registry()
    if environ.get("RSBENCH_DISABLE_PLUGIN_AUTOLOAD") not in (None, "", "0"):
        return found
    only = [n for n in environ.get("RSBENCH_PLUGINS", "").split(",") if n]
    barred = {*blocked, *environ.get(BLOCK_VARIABLE, "").split(",")}
    seen: set[str] = set()
    for entry in sorted(metadata.entry_points(group=hookspecs.PROJECT), key=lambda e: e.name):
        if entry.name in barred or entry.name in seen or (only and entry.name not in only):
            continue
        seen.add(entry.name)
        distribution = entry.dist.name if entry.dist else "unknown"
        found.add(entry.name, distribution, entry.dist.version if entry.dist else "unknown", entry.load)
    for name in only:
        if name not in seen:
            found.problems.append(Problem(name, "none", "RSBENCH_PLUGINS names it, but it is not installed"))
    return found


@cache
def registry() -> Registry:
    """The registry of this process, loaded at first use."""
    return load()
