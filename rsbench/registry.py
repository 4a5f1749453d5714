"""Finds plugins through entry points, contains broken ones, and resolves names.

Plugins are loaded, registered and asked by :func:`rsbench.containment.contained`.  Whatever one does wrong becomes a
:class:`Problem`; everything else goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from itertools import islice
from traceback import walk_tb
from types import ModuleType
from typing import Any, Final, TypeVar

import pluggy

from rsbench import hookspecs
from rsbench.containment import OWNERS, Origin, PluginHung, as_json, contained
from rsbench.errors import UserError, did_you_mean
from rsbench.extensions import BoardSpec, ExporterSpec, FormatSpec, LauncherSpec, RunnerSpec
from rsbench.specs import (
    NAME_PATTERN,
    ClaimSet,
    DatasetSpec,
    LossSpec,
    MetricSpec,
    ModelSpec,
    OptimizerSpec,
    ProtocolSpec,
    RecipeSpec,
    Spec,
    SpecError,
    TaskSpec,
    load_attribute,
)

KINDS: Final[dict[str, tuple[str, type[Spec]]]] = {
    "model": ("rsbench_models", ModelSpec),
    "dataset": ("rsbench_datasets", DatasetSpec),
    "loss": ("rsbench_losses", LossSpec),
    "optimizer": ("rsbench_optimizers", OptimizerSpec),
    "metric": ("rsbench_metrics", MetricSpec),
    "protocol": ("rsbench_protocols", ProtocolSpec),
    "recipe": ("rsbench_recipes", RecipeSpec),
    "task": ("rsbench_tasks", TaskSpec),
    "claims": ("rsbench_claims", ClaimSet),
    "format": ("rsbench_formats", FormatSpec),
    "board": ("rsbench_boards", BoardSpec),
    "exporter": ("rsbench_exporters", ExporterSpec),
    "runner": ("rsbench_runners", RunnerSpec),
    "launcher": ("rsbench_launchers", LauncherSpec),
}
HEAVY: Final = ("torch", "torchvision", "timm", "torchgeo", "lightning", "pandas", "numpy", "scipy")
CODE: Final = (
    "factory",
    "source",
    "split",
    "module",
    "render",
    "write",
    "read",
    "run",
)  # fields of specs that name a plugin's code
OBSERVER_HOOKS: Final = ("rsbench_run_start", "rsbench_epoch_end", "rsbench_run_end")
BLOCK_VARIABLE: Final = "RSBENCH_BLOCKED_PLUGINS"
HOME: Final = "rsbench"  # the distribution whose names nobody takes
UNKNOWN: Final = "unknown"
ALIASES: Final = {"recipe": ("author",)}  # what stands for a name: the recipe of a model's own authors
MOST_SPECS: Final = 100_000  # of a hook

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one plugin.  A ``fatal`` one gives nothing; the others still work in part."""

    plugin: str
    distribution: str
    error: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' (distribution '{self.distribution}'): {self.error}"


class Registry:
    """Specs by kind and name, with their origins, and the problems met on the way.  Built by :func:`load`."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.problems: list[Problem] = []
        self.plugins: dict[str, Origin] = {}
        self._specs: dict[str, dict[str, Spec]] = {kind: {} for kind in KINDS}
        self._origins: dict[tuple[str, str], Origin] = {}
        self._resolved: dict[tuple[str, str], Spec | None] = {}
        self._hung: set[Origin] = set()
        self._packages: dict[str, Origin] = {}  # of others' plugins

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
        """Return the spec called *name* as :meth:`get` does, but ``None`` where there is none.

        Raises:
            PluginError: a family's resolver failed.
        """
        if name in self._specs[kind] and not name.endswith(":*"):
            return self._specs[kind][name]
        family = self._family(kind, name)
        if family is None or not family.resolver:  # type: ignore[attr-defined]
            return None
        if (kind, name) not in self._resolved:
            origin, member = self._origins[kind, family.name], name.partition(":")[2]
            with contained(origin, f"the resolver of '{family.name}'", quiet=True):
                spec = load_attribute(family.resolver)(member)  # type: ignore[attr-defined]
                if spec is not None:
                    self._require(origin, kind, spec)
            self._resolved[kind, name] = spec
        return self._resolved[kind, name]

    def members(self, kind: str, prefix: str, pattern: str = "*") -> list[str]:
        """Return full names of the members of family ``prefix:*`` that match a shell pattern; none of another.

        Raises:
            PluginError: the family's list failed.
        """
        family: Any = self._specs[kind].get(f"{prefix}:*")
        if family is None or not family.members:
            return []
        with contained(self._origins[kind, family.name], f"the members of '{family.name}'", quiet=True):
            return [f"{prefix}:{member}" for member in load_attribute(family.members)(pattern)]

    def namesakes(self, kind: str, name: str) -> list[str]:
        """Return the members of families that are called *name* within them: ``timm:resnet18`` for ``resnet18``."""
        found: list[str] = []
        for family in self._specs[kind] if NAME_PATTERN.fullmatch(name) else ():
            if family.endswith(":*"):
                with suppress(UserError):
                    found += self.members(kind, family.removesuffix(":*"), name)
        return found

    def origin(self, kind: str, name: str) -> Origin:
        """Return where the spec called *name* (or its family) comes from."""
        if (kind, name) in self._origins:
            return self._origins[kind, name]
        family = self._family(kind, name)
        if family is None:
            raise UserError(self._unknown(kind, name, None))
        return self._origins[kind, family.name]

    def owner(self, module: str) -> Origin | None:
        """Return whose code a module is, where it is that of a plugin by others."""
        return self._packages.get(module.partition(".")[0])

    def blamed(self, error: BaseException) -> Origin | None:
        """Return in whose code an error was raised, or in code called from there; ``None``: not in that of others."""
        frames = reversed([frame for frame, _ in walk_tb(error.__traceback__)])
        owners = (self.owner(str(frame.f_globals.get("__name__", ""))) for frame in frames)
        return next(filter(None, owners), None)

    def _family(self, kind: str, name: str) -> Spec | None:
        prefix, colon, _ = name.partition(":")
        return self._specs[kind].get(f"{prefix}:*") if colon else None

    def _unknown(self, kind: str, name: str, family: Spec | None) -> str:
        known: Iterable[str] = (family and self.members(kind, name.partition(":")[0])) or self._specs[kind]
        hint = did_you_mean(name, [*ALIASES.get(kind, ()), *known], self.namesakes(kind, name))
        other = next((k for k in self._specs if k != kind and name in self._specs[k]), None)
        text = f"There is no {kind} '{name}'.{hint}{f' It is a {other}.' if other else ''} See: rsbench list {kind}."
        broken = [str(p) for p in self.problems if p.fatal]
        if broken:
            text += " It may come from a plugin that could not be loaded: " + "; ".join(broken) + "."
        return text

    def notify(self, hook: str, **arguments: Any) -> list[str]:
        """Call an observer hook of each plugin in turn; return what those did wrong, each in a sentence.

        One that hangs is not told again.
        """
        said = []
        for origin, implementation in self._implementations(hook):
            if origin in self._hung:
                continue
            try:
                with contained(origin, hook) as faults:
                    _call(implementation, arguments)
            except UserError as error:
                said.append(str(error))
                if isinstance(error, PluginHung):
                    self._hung.add(origin)
            said += [f"{origin}: {fault}" for fault in faults]
        return said

    def observers(self) -> list[str]:
        """Sorted names of the plugins that want to be told of runs."""
        return sorted({origin.plugin for hook in OBSERVER_HOOKS for origin, _ in self._implementations(hook)})

    def gather(self, hook: str) -> dict[str, Any]:
        """Merge the mappings that a hook returns, keyed by plugin, as JSON holds them; who fails gives an error."""
        facts: dict[str, Any] = {}
        for origin, implementation in self._implementations(hook):
            try:
                with contained(origin, hook):
                    facts[origin.plugin] = as_json(dict(_call(implementation, {})))
            except UserError as error:
                facts[origin.plugin] = {"error": str(error)}
        return facts

    def callers(self, hook: str) -> Iterator[tuple[Origin, Callable[..., Any]]]:
        """Yield each plugin that has a hook, with a function that calls it; see :meth:`ask`."""
        for origin, implementation in self._implementations(hook):
            yield origin, partial(_keywords, implementation)

    def ask(self, origin: Origin, what: str, function: Callable[[], T]) -> T | None:
        """Return what code of a plugin gives; what it does wrong becomes a problem, and where it fails that is all.

        *what* is as for :func:`rsbench.containment.contained`.
        """
        faults: list[str] = []
        try:
            with contained(origin, what, quiet=True) as faults:
                return function()
        except UserError as error:
            self.note(origin, getattr(error, "text", str(error)))
        finally:
            for fault in faults:
                self.note(origin, fault, fatal=False)
        return None

    def note(self, origin: Origin, error: str, fatal: bool = True) -> None:
        """Add a problem of a plugin."""
        self.problems.append(Problem(origin.plugin, origin.distribution, error, fatal))

    def _implementations(self, hook: str) -> list[tuple[Origin, pluggy.HookImpl]]:
        found = getattr(self.manager.hook, hook).get_hookimpls()
        return [(self.plugins.get(i.plugin_name) or Origin(i.plugin_name, UNKNOWN, UNKNOWN), i) for i in found]

    def add(self, name: str, distribution: str, version: str, load_plugin: Callable[[], object]) -> None:
        """Load and register one plugin and take its specs; all it does wrong becomes a problem.

        Args:
            name: of the entry point.
            distribution, version: that it comes from.
            load_plugin: imports it.
        """
        origin = self.plugins[name] = Origin(name, distribution, version)
        if distribution != HOME:
            import hashlib  # noqa: F401  # so that a plugin that replaces its functions is found out
        before = set(sys.modules)
        plugin = self.ask(origin, "its import", load_plugin)
        if plugin is None:
            if not any(p.plugin == name and p.fatal for p in self.problems):
                self.note(origin, "its entry point leads to None")
            return
        new = {m.partition(".")[0] for m in set(sys.modules) - before}
        if heavy := [m for m in HEAVY if m in new]:
            text = f"imports {', '.join(heavy)} at its top, which makes every command slow; import it where it is used"
            self.note(origin, text, fatal=False)
        if self.ask(origin, "its registration", lambda: self._register(origin, plugin)) is None:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            return
        for kind in KINDS:
            self._take(origin, kind)

    def _register(self, origin: Origin, plugin: object) -> bool:
        """Register a plugin, and note what looks like a hook and is none."""
        self.manager.register(plugin, name=origin.plugin)
        if isinstance(plugin, ModuleType):
            self._own(origin, plugin.__name__)
        known = {n for n in dir(hookspecs) if n.startswith("rsbench_")}
        for attribute in dir(plugin):
            marked = getattr(getattr(plugin, attribute, None), "rsbench_impl", None)
            if marked is not None and attribute not in known:
                self.note(origin, f"'{attribute}' is not a hook.{did_you_mean(attribute, known)}", fatal=False)
        return True

    def _take(self, origin: Origin, kind: str) -> None:
        """Take the specs that one plugin gives for one kind, all or (where it raises) none."""
        hook, _ = KINDS[kind]
        for owner, implementation in self._implementations(hook):
            if owner != origin:
                continue
            specs = self.ask(origin, hook, lambda one=implementation: self._given(origin, kind, one))  # type: ignore[misc]
            for name, spec in specs or ():
                if name in self._specs[kind]:
                    text = f"{kind} '{name}' is already taken by {self._origins[kind, name]}"
                    self.note(origin, text, fatal=False)
                    continue
                self._specs[kind][name] = spec
                self._origins[kind, name] = origin
                self._own(origin, next((getattr(spec, f) for f in CODE if getattr(spec, f, None)), ""))

    def _own(self, origin: Origin, path: str) -> None:
        """Note that the package of a module, or of ``"module:attribute"``, is a plugin's."""
        package = path.partition(":")[0].partition(".")[0]
        if origin.distribution != HOME and package not in (*HEAVY, "rsbench", ""):
            self._packages.setdefault(package, origin)

    def _given(self, origin: Origin, kind: str, implementation: pluggy.HookImpl) -> list[tuple[str, Spec]]:
        """Return the specs that a hook gives and that are as they should be."""
        found = []
        given = list(islice(_call(implementation, {}), MOST_SPECS + 1))
        if len(given) > MOST_SPECS:
            raise ValueError(f"more than {MOST_SPECS:,} specs")
        for spec in given:
            try:
                self._require(origin, kind, spec)
                found.append((spec.name, spec))
            except SpecError as error:
                self.note(origin, f"{KINDS[kind][0]} gave {error}", fatal=False)
        return found

    def _require(self, origin: Origin, kind: str, spec: Any) -> None:
        """Check the type of a spec and of its fields; those of rsbench's own plugins are known to be right.

        Raises:
            SpecError: something is of another type.
        """
        expected = KINDS[kind][1]
        if not isinstance(spec, expected):
            raise SpecError(f"{type(spec).__name__} where {expected.__name__} is expected")
        if origin.distribution == HOME:
            return
        from rsbench.spec_check import misfit

        if wrong := misfit(spec):
            name = spec.name if isinstance(spec.name, str) else "without a name"
            raise SpecError(f"{kind} '{name}': {wrong}")


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    return implementation.function(**{n: arguments[n] for n in implementation.argnames})


def _keywords(implementation: pluggy.HookImpl, **arguments: Any) -> Any:
    return _call(implementation, arguments)


def load(blocked: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> Registry:
    """Load every installed plugin of the entry-point group ``rsbench``, sorted by name.

    ``RSBENCH_PLUGINS=a,b`` loads only those and the core's own, ``RSBENCH_DISABLE_PLUGIN_AUTOLOAD=1`` none; a blocked
    one is never imported.
    """
    found = Registry()
    if environ.get("RSBENCH_DISABLE_PLUGIN_AUTOLOAD") not in (None, "", "0"):
        return found
    only = [n for n in environ.get("RSBENCH_PLUGINS", "").split(",") if n]
    barred = {*blocked, *environ.get(BLOCK_VARIABLE, "").split(",")}
    seen: dict[str, str] = {}
    for distribution, version, entry in entries():
        if entry.name in barred or (only and entry.name not in only and not _is_core(distribution, entry)):
            continue
        first = seen.setdefault(entry.name, distribution)
        if entry.name not in found.plugins:
            found.add(entry.name, distribution, version, entry.load)
        elif first != distribution:  # else the same one lies twice in the path
            text = (
                f"distribution '{first}' has a plugin of this name, which is used; this one's entry point needs another"
            )
            found.note(Origin(entry.name, distribution, version), text)
    for name in only:
        if name not in seen:
            found.problems.append(Problem(name, "none", "RSBENCH_PLUGINS names it, but it is not installed"))
    return found


def _is_core(distribution: str, entry: metadata.EntryPoint) -> bool:
    """Whether an entry point is the core's own, which are loaded with any choice of plugins."""
    return distribution == HOME and entry.value.startswith(f"{HOME}.")


def entries() -> list[tuple[str, str, metadata.EntryPoint]]:
    """Distribution, its version, and entry point of each plugin: ours first, so that nobody takes a name of ours."""
    known: dict[metadata.Distribution, tuple[str, str]] = {}
    found = []
    for entry in metadata.entry_points(group=hookspecs.PROJECT):
        if entry.dist is not None and entry.dist not in known:
            known[entry.dist] = entry.dist.name or UNKNOWN, entry.dist.version or UNKNOWN  # reads a file
        found.append((*(known[entry.dist] if entry.dist else (UNKNOWN, UNKNOWN)), entry))
    return sorted(found, key=lambda one: (one[0] != HOME, one[2].name, one[0]))


@cache
def registry() -> Registry:
    """The registry of this process, loaded at first use."""
    found = load()
    OWNERS.update(found._packages)
    return found
