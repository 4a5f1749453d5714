"""A request becomes checked plans, one for each seed."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from rsbench import __version__, execution, renamed
from rsbench.data import few_labels, integrity, manifest
from rsbench.data.location import data_root
from rsbench.errors import UserError, UserErrors
from rsbench.recipes import attempt, resolve_options, resolve_recipe
from rsbench.registry import registry
from rsbench.specs import PRECISIONS, DatasetSpec, ModelSpec, ProtocolSpec, to_jsonable

DIVISIONS: Final = ("closed", "open", "debug", "external")  # of what is scored


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan(execution.Execution):
    """One run, decided to the last detail and JSON-able; its folder is ``<out>/<run_id>``.

    model: name, version, options (all, resolved), label (name and the options that differ from their defaults), kind,
        factory, accepts, params, plugin, distribution, distribution_version, source_sha256, weights_sha256, tags.
    dataset: name, version, fingerprint, store (path), image_shape, dtype, classes, bands.
    protocol: name, version, fingerprint, task, split_sizes, split_sha256, bands, size, primary, metrics, selection,
        targets; labels, where they are few, and refit.  With ``overfit`` set, training and test split are the same
        images, evenly spaced over the set.
    recipe: every field of the RecipeSpec, after ``--set``; of one with a ``fit`` those that count, and a hash of its
        code.
    group: what it is run with: plans of one ``id`` share a process; ``members`` names all, ``member`` this one.
    """

    run_id: str
    task: str
    seed: int
    division: str  # one of DIVISIONS, or that of a runner
    model: Mapping[str, Any]
    dataset: Mapping[str, Any]
    protocol: Mapping[str, Any]
    recipe: Mapping[str, Any]
    overfit: int | None = None  # train and test on this many training images
    group: Mapping[str, Any] | None = None
    start: str | None = None  # file of weights that training starts from (see :mod:`rsbench.continuation`)
    checkpoint: str | None = None  # file of weights that are evaluated and not trained (see :mod:`rsbench.evaluation`)
    runner: str = "run"  # a :class:`rsbench.extensions.RunnerSpec`

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON-able data, which the class takes as its fields."""
        how = {f.name for f in dataclasses.fields(execution.Execution)}
        everything = dataclasses.asdict(self)
        return {k: v for k, v in everything.items() if k not in how} | {k: everything[k] for k in sorted(how)}

    def public_dict(self) -> dict[str, Any]:
        """Return the plan for a record: without the folders of this machine, files by their names alone."""
        plan = self.to_dict()
        del plan["runner"]  # the division of a record, and what its plan holds, say as much
        runner, group = registry().specs("runner").get(self.runner), plan.pop("group")
        plan |= {runner.group: group} if runner and runner.group else {}
        plan["command"] = execution.portable_command(self.command, runner.keeps if runner else ())
        for how in execution.OPTION_FIELDS:
            if how.metadata["place"]:
                plan[how.name] = ""
            elif how.name in execution.FIELDS:
                del plan[how.name]
        plan["dataset"] = {**plan["dataset"], "store": ""}
        plan["checkpoint"] = self.checkpoint and Path(self.checkpoint).name
        plan["model"] = _without_folder(plan["model"])
        del plan["start"]  # the model has its digest
        return plan

    @classmethod
    def from_record(cls, plan: Mapping[str, Any]) -> RunPlan:
        """Return the plan that a record holds, whatever other versions have put into it."""
        known = {field.name for field in dataclasses.fields(cls)}
        group = next(iter(group_of(plan).values()), None)
        return cls(**{key: value for key, value in plan.items() if key in known}, group=group)


def groups(plans: Sequence[RunPlan]) -> Iterator[list[RunPlan]]:
    """Yield plans that are to run in one process: those of a group that follow each other, each other plan alone."""
    for key, group in groupby(plans, key=lambda p: p.group["id"] if p.group else None):
        if key is None:
            yield from ([plan] for plan in group)
        else:
            yield list(group)


def group_of(plan: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what the plan of a record was run together with, under the name of its runner; nothing of one alone."""
    parts = {name: part for name, part in plan.items() if isinstance(part, Mapping) and "id" in part}
    return {name: part for name, part in parts.items() if isinstance(part.get("members"), list)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest(execution.Execution):
    """What the user asked for; names are not yet resolved.

    models: (name, options) pairs.  changes: dotted recipe fields to values (``--set``).
    train_fraction, shots: of the labels of training and validation (see :mod:`rsbench.data.few_labels`).
    start: record of a finished run, from whose weights training starts (see :mod:`rsbench.continuation`).
    origin: begins the sentences on what is wrong, such as the line of a suite.
    tolerant: the recipe may hold options of other tasks than the run's.
    """

    models: tuple[tuple[str, Mapping[str, Any]], ...]
    dataset: str
    protocol: str | None = None
    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None
    precision: str | None = None
    overfit: int | None = None
    train_fraction: float | None = None
    shots: int | None = None
    start: str | None = None
    tolerant: bool = False
    origin: str = ""


def expand(request: RunRequest) -> list[RunPlan]:
    """Return one plan for each model and seed.

    Raises:
        UserErrors: every problem of the request at once.
    """
    misfits = request.misfits()
    problems = [*misfits.values()]
    defaults: dict[str, Any] = {f.name: f.default for f in execution.OPTION_FIELDS if f.name in misfits}
    request = dataclasses.replace(request, **defaults)
    setting = _setting(request, problems)
    plans: list[RunPlan] = []
    for name, options in request.models:
        model = attempt(problems, partial(registry().get, "model", name))
        if model is None or setting is None:
            continue
        found: list[str] = []
        values = resolve_options(model.options, options, f"model '{name}'", found)
        recipe, closed = resolve_recipe(
            request.recipe, _changes(request), setting.protocol, model, found, tolerant=request.tolerant
        )
        found += _mismatches(model, setting, recipe)
        if model.kind != "estimator" and not recipe.get("fit"):
            task, samples = registry().get("task", setting.protocol.task), setting.block["split_sizes"]["train"]
            found += request.too_wide(task, recipe, samples)
        if not found:
            plans += _plans(request, setting, model, values, recipe, closed)
        problems += [p for p in found if p not in problems]
    if problems:
        raise UserErrors(problems)
    return plans


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all runs of a request share."""

    dataset: DatasetSpec
    protocol: ProtocolSpec
    store: Path
    manifest: Mapping[str, Any]
    block: dict[str, Any]


def _changes(request: RunRequest) -> dict[str, Any]:
    """Changes of the recipe, those that have options of their own on the command line among them."""
    return dict(request.changes) | ({"precision": request.precision} if request.precision else {})


def _setting(request: RunRequest, problems: list[str]) -> _Setting | None:
    dataset = attempt(problems, lambda: registry().get("dataset", request.dataset))
    if dataset is None:
        return None
    root = data_root(request.data_root)
    stored = attempt(problems, lambda: integrity.require(root, dataset))
    protocol = attempt(problems, lambda: choose_protocol(dataset, request.protocol, stored))
    if protocol is None or stored is None:
        return None
    store = manifest.store_path(root, dataset)
    labels = attempt(problems, lambda: few_labels.asked(request.train_fraction, request.shots))
    block = attempt(problems, lambda: protocol_block(store, stored, protocol, request.overfit, labels))
    return None if block is None else _Setting(dataset, protocol, store, stored, block)


def choose_protocol(dataset: DatasetSpec, name: str | None, stored: Mapping[str, Any] | None = None) -> ProtocolSpec:
    """Return the named protocol, or the dataset's default; where it names none, that of the task of what is *stored*.

    Raises:
        UserError: there is none, or it is made for another dataset.
    """
    fitting = {n: p for n, p in registry().specs("protocol").items() if fnmatchcase(dataset.name, p.dataset)}
    if tasks := (stored or {}).get("tasks"):
        fitting = {n: p for n, p in fitting.items() if p.task in tasks}
    name = name or dataset.default_protocol or (next(iter(fitting)) if len(fitting) == 1 else None)
    if name is None:
        raise UserError(
            f"Choose one of the protocols of '{dataset.name}' with --protocol: {', '.join(sorted(fitting))}."
        )
    if name not in fitting:
        other = registry().get("protocol", name)
        raise UserError(
            f"Protocol '{name}' is for '{other.dataset}', not for '{dataset.name}': {', '.join(sorted(fitting))}."
        )
    return fitting[name]


def protocol_block(
    store: Path,
    stored: Mapping[str, Any],
    protocol: ProtocolSpec,
    overfit: int | None = None,
    labels: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a plan's ``protocol`` with its fingerprint.

    Args:
        store: folder of the prepared dataset.
        stored: its manifest.
        protocol: of the dataset.
        overfit: train and test on this many training images; ``None``: on the split.
        labels: ``{"fraction": .1}`` or ``{"shots": 5}`` of training and validation; ``None``: all.
    """
    found = splits_summary(store, stored, protocol)
    sizes = found["sizes"]
    if overfit is not None and not 0 < overfit <= sizes["train"]:
        raise UserError(f"--overfit {overfit} must lie between 1 and the {sizes['train']} training images.")
    versions = {name: registry().get("metric", name).version for name in protocol.metrics}
    if labels is not None:
        if overfit is not None:
            raise UserError(
                "--overfit takes the images that it trains on itself; leave --train-fraction and --shots out."
            )
        sizes = {**sizes, **_few(store, protocol, labels)}
    if overfit is not None:
        sizes = {"train": overfit, "val": 0, "test": overfit}
    block = {
        "name": protocol.name + (few_labels.named(labels) if labels else f"+overfit{overfit}" if overfit else ""),
        "version": protocol.version,
        "fingerprint": "",
        "task": protocol.task,
        "split_sizes": sizes,
        "split_sha256": found["sha256"],
        "bands": list(protocol.bands) if protocol.bands else None,
        "size": protocol.size,
        "primary": protocol.primary,
        "metrics": list(protocol.metrics),
        "selection": protocol.selection,
        "targets": list(protocol.targets),
    }
    block |= ({"labels": dict(labels)} if labels else {}) | ({"refit": True} if protocol.refit else {})
    return block | {"fingerprint": fingerprint(block, stored, versions, overfit)}


def _few(store: Path, protocol: ProtocolSpec, labels: Mapping[str, Any]) -> dict[str, int]:
    """Return how many samples of training and validation so many labels leave, which is the same for every seed."""
    from rsbench.data import splits
    from rsbench.data.store import PreparedStore

    data = PreparedStore.open(store)
    split = splits.resolve(data, protocol)
    return {part: len(few_labels.reduced(data, getattr(split, part), labels, 0)) for part in ("train", "val")}


# What a fingerprint is over, beside the dataset, the versions of metrics and the number of images to overfit.
COMPARABLE: Final = ("task", "split_sha256", "bands", "size", "primary", "selection")
NARROWER: Final = ("labels", "refit")  # what else it is over where a protocol has it


def fingerprint(
    protocol: Mapping[str, Any], dataset: Mapping[str, Any], versions: Mapping[str, str], overfit: int | None = None
) -> str:
    """Return the SHA-256 over what makes results comparable.

    That is task, dataset version and content, sample ids of the split, bands, size, metrics and their versions, how
    the checkpoint is chosen, and how many labels may be used; not the recipe, nor which labels a seed draws.

    Args:
        protocol, dataset: blocks of a plan.
        versions: metric -> version.
        overfit: how many images are trained and tested on, if these are the same.
    """
    facts = {name: protocol[name] for name in COMPARABLE}
    facts |= {name: protocol[name] for name in NARROWER if protocol.get(name)}
    facts |= {"dataset": [dataset[k] for k in ("name", "version", "fingerprint")], "metrics": dict(versions)}
    return digest(facts if overfit is None else facts | {"overfit": overfit})


def splits_summary(store: Path, stored: Mapping[str, Any], protocol: ProtocolSpec) -> Mapping[str, Any]:
    """Return sizes and hashes of a split, computing it where that has not been done."""
    cached = manifest.split_summary(store, stored["fingerprint"], protocol)
    if cached is not None:
        return cached
    from rsbench.data import splits
    from rsbench.data.store import PreparedStore

    split = splits.resolve(PreparedStore.open(store), protocol)
    return {"sizes": split.sizes, "sha256": split.sha256}


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON."""
    text = json.dumps(to_jsonable(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _mismatches(model: ModelSpec, setting: _Setting, recipe: Mapping[str, Any]) -> list[str]:
    """What the model cannot do with this protocol."""
    protocol, accepts, found = setting.protocol, model.accepts, []
    if protocol.task not in model.tasks:
        found.append(
            f"Model '{model.name}' is for {', '.join(model.tasks)}; protocol '{protocol.name}' is {protocol.task}."
        )
    names = [b["name"] for b in setting.manifest["bands"]]
    bands = protocol.bands or names
    unknown = [b for b in bands if b not in names]
    if unknown:
        found.append(f"Protocol '{protocol.name}' asks for bands {', '.join(unknown)}, which the data do not have.")
    if accepts.channels not in (None, len(bands)):
        found.append(
            f"Model '{model.name}' takes {accepts.channels} bands; protocol '{protocol.name}' has {len(bands)}."
        )
    units = {b["unit"] for b in setting.manifest["bands"]}
    if accepts.unit != "any" and units != {accepts.unit}:
        found.append(
            f"Model '{model.name}' takes images in {accepts.unit}; '{setting.dataset.name}' is in {', '.join(units)}."
        )
    size = protocol.size or setting.manifest["shape"][-1]
    if accepts.size not in (None, size) or size < accepts.min_size:
        wanted = accepts.size or f"at least {accepts.min_size}"
        found.append(f"Model '{model.name}' takes images of {wanted} pixels; protocol '{protocol.name}' has {size}.")
    precision = recipe.get("precision", "auto")
    if precision not in PRECISIONS:
        found.append(f"Precision '{precision}' is not one of {', '.join(PRECISIONS)}.")
    return found


def _plans(
    request: RunRequest,
    setting: _Setting,
    model: ModelSpec,
    options: dict[str, Any],
    recipe: dict[str, Any],
    closed: bool,
) -> list[RunPlan]:
    division = "debug" if request.overfit is not None else "closed" if closed else "open"
    block = model_block(model, options)
    estimator, fitted = model.kind == "estimator", recipe.get("fit") is not None
    if fitted:
        recipe = {**recipe, "fit_sha256": source_sha256(recipe["fit"])}
    few = "labels" in setting.block  # which another seed draws anew
    seeds = request.seeds or setting.protocol.seeds[: 1 if fitted and not few else None]  # a fit has one optimum
    alone = {"devices": 1, "nodes": 1} if estimator or fitted else {}
    how = execution.Execution.of(request, data_root=str(data_root(request.data_root)), **alone)
    common: dict[str, Any] = {
        "task": setting.protocol.task,
        "division": division,
        "model": block,
        "dataset": dataset_block(setting.store, setting.manifest),
        "protocol": setting.block,
        "recipe": recipe,
        "device": request.device,
        "overfit": request.overfit,
    }
    seeds = seeds[:1] if estimator and not few else seeds
    return [RunPlan(run_id=run_id(common, seed), seed=seed, **common | how) for seed in seeds]


# What the run id of a plan is over, beside its seed; a group where there is one.
IDENTITY: Final = ("task", "division", "model", "dataset", "protocol", "recipe", "device", "overfit")


def run_id(common: Mapping[str, Any], seed: int, version: str | None = None) -> str:
    """Return ``dataset-model-protocol-s<seed>-<sha8>``: a file name that changes with what may change results.

    Args:
        common: the parts of a plan named in :data:`IDENTITY`.
        seed: of the run.
        version: of the rsbench that ran it; this one if ``None``.
    """
    dataset = {k: v for k, v in common["dataset"].items() if k != "store"}
    model = _without_folder(common["model"])
    sha = digest({**common, "model": model, "dataset": dataset, "seed": seed, "rsbench": version or __version__})[:8]
    words = (common["dataset"]["name"], common["model"]["name"], common["protocol"]["name"], f"s{seed}", sha)
    return "-".join(re.sub(r"[^A-Za-z0-9._+-]+", "-", w) for w in words)


def _without_folder(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's ``model`` with its file of weights by name: the hash beside it says which file it is."""
    options = model.get("options", {})
    if model.get("weights_sha256") and "weights" in options:
        options = {**options, "weights": Path(str(options["weights"])).name}
    return {**model, "options": options}


def dataset_block(store: Path, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's ``dataset``."""
    return {
        "name": stored["name"],
        "version": stored["version"],
        "fingerprint": stored["fingerprint"],
        "store": str(store),
        "image_shape": stored["shape"],
        "dtype": stored["dtype"],
        "classes": stored["classes"],
        "bands": [b["name"] for b in stored["bands"]],
        "units": [b["unit"] for b in stored["bands"]],
    } | ({"question_types": stored["question_types"]} if stored.get("question_types") else {})


def model_block(model: ModelSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's ``model``: the spec, its options, and hashes of its code and of a local weights file."""
    origin = registry().origin("model", model.name)
    changed = {k: v for k, v in options.items() if v != model.options[k].default}
    declared = {k: o.file_unless for k, o in model.options.items() if o.file_unless}
    files = {k: Path(str(options[k])) for k, named in declared.items() if options[k] not in named}
    local = next(iter(files.values()), None)
    shown = {k: (files[k].name if k in files else v) for k, v in changed.items()}
    label = model.name + (f" ({', '.join(f'{k}={v}' for k, v in sorted(shown.items()))})" if shown else "")
    return {
        "name": model.name,
        "version": model.version,
        "label": label,
        "options": dict(options),
        "kind": model.kind,
        "factory": model.factory,
        "accepts": renamed.recorded(renamed.ACCEPTS, to_jsonable(model.accepts)),
        "params": model.params,
        "tags": [renamed.first(renamed.TAG, tag) for tag in model.tags],
        "plugin": origin.plugin,
        "distribution": origin.distribution,
        "distribution_version": origin.version,
        "source_sha256": source_sha256(model.factory),
        "weights_sha256": file_sha256(local) if local else None,
    }


def is_baseline(model: Mapping[str, Any]) -> bool:
    """Whether a plan's model is a baseline, a line to beat."""
    return renamed.first(renamed.TAG, "baseline") in model.get("tags", ())


def source_sha256(factory: str) -> str | None:
    """Hash the Python files of the package that holds a factory (its one file if it is a top-level module).

    The module is found, not imported; ``None`` where it has no source file.
    """
    module = factory.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    files = sorted(Path(spec.origin).parent.glob("*.py")) if "." in module else [Path(spec.origin)]
    sha = hashlib.sha256()
    for file in files:
        sha.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return sha.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of weights, hexadecimal.

    Raises:
        UserError: there is none.
    """
    if not path.is_file():
        raise UserError(f"There is no weights file '{path}'; use none, imagenet or the path of a file.")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
