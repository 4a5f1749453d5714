"""What a plugin declares.

A spec is a frozen, JSON-able description.  It names its code as ``"module:attribute"`` and never imports it, so
listing a thousand specs costs nothing.  This file uses the standard library only, and the table of old names.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from rsbench import renamed

UNITS: Final = ("uint8", "s2_dn", "reflectance", "float")
NORMALIZATIONS: Final = ("dataset", "imagenet", "unit", "none")  # see Accepts
PRECISIONS: Final = ("auto", "fp32", "bf16", "fp16")
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
LONGEST_NAME: Final = 120  # becomes part of the name of a folder
PRINTED_NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)")
PRINTED_UNITS: Final = ("%", "x100", "M", "")
CERTAINTIES: Final = ("paper", "code", "derived", "recalled")


class SpecError(ValueError):
    """A spec that contradicts itself; the message says which field and why."""


def load_attribute(path: str) -> Any:
    """Import ``"module:attribute"`` and return the attribute.

    Raises:
        SpecError: the path has no colon, or the module has no such attribute.
        ImportError: the module cannot be imported.
    """
    module_name, colon, attribute = path.partition(":")
    if not colon or not attribute:
        raise SpecError(f"'{path}' is not of the form 'module:attribute'")
    target: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            raise SpecError(f"module '{module_name}' has no attribute '{attribute}'") from None
    return target


def to_jsonable(value: Any) -> Any:
    """Return *value* as plain dicts, lists and scalars, so that ``json.dumps`` accepts it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_jsonable(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise SpecError(f"{value!r} ({type(value).__name__}) cannot be written as JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What every spec has: a name to type and a sentence to read."""

    name: str
    summary: str
    version: str = "1"

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name.replace(":", "-", 1).removesuffix("*") or "-"):
            raise SpecError(f"'{self.name}' is not a name: use letters, digits, '.', '_', '+' and '-'")
        if len(self.name) > LONGEST_NAME:
            raise SpecError(f"'{self.name[:20]}...' has {len(self.name)} letters, a name {LONGEST_NAME} at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of a model or loss that a user may change with ``--option NAME=VALUE``.

    file_unless: the values that name no file, the first of them for random weights; any other is the path of a file of
        weights, whose content is a part of what the run is.  An option that holds paths is called ``weights``.
    normalized: of an option that changes how images are normalized, its value where ``evaluate --normalization`` says
        how they are.
    """

    default: Any
    help: str
    choices: tuple[Any, ...] | None = None
    file_unless: tuple[Any, ...] | None = None
    normalized: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One channel of a dataset.  Statistics are in *unit*; ``None`` means not known."""

    name: str
    unit: str = "uint8"
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file to download: mirrors in order of preference, checked by size and by sha256 or md5.

    record: address of the archive's own description of its files (Zenodo's ``/api/records/<id>``), from which the
        checksum is taken at download time where none is given here.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str | None = None
    md5: str | None = None
    bytes: int | None = None
    extract: bool = False
    record: str | None = None


@renamed.fields(renamed.ACCEPTS)
@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """What a model takes.

    channels: number of input channels it is built for, or ``None`` for any.
    size: side of the square input in pixels, or ``None`` for any; ``min_size`` is the smallest that works.
    unit: unit of the *stored* images it understands, or ``"any"``.
    normalization: what the engine does before ``forward``: ``"dataset"`` (minus mean, over standard deviation of the
        training split), ``"imagenet"`` (uint8 RGB to [0, 1], ImageNet mean and std), ``"unit"`` (uint8 to [0, 1]),
        ``"none"`` (cast only).
    """

    channels: int | None = None
    size: int | None = None
    min_size: int = 1
    unit: str = "any"
    normalization: str = "dataset"


SOURCES: Final = ("paper", "code", "recalled", "ours")


def check_provenance(provenance: Mapping[str, str], *, reconstruction: bool) -> None:
    """Check where the parts of a system are from: part -> one of :data:`SOURCES`, and ``": how"`` where that is needed,
    and again after ``"; "`` where it has two.

    ``paper`` was read there, ``code`` in the authors' repository; ``recalled`` is to be checked before it is quoted.

    Raises:
        SpecError: a source is none of these, or a part is ours and the system is not called a reconstruction.
    """
    for part, source in provenance.items():
        if source.partition(":")[0] not in SOURCES:
            raise SpecError(f"{part} is from '{source}', which does not begin with one of {', '.join(SOURCES)}")
        if re.search(r"(^|; )ours", source) and not reconstruction:
            raise SpecError(f"{part} is ours, and this is not called a reconstruction")


@renamed.fields(renamed.MODEL)
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(Spec):
    """A model.  ``factory(context, **options)`` returns a ``torch.nn.Module``, or for ``kind="estimator"`` an object
    with ``fit`` and ``predict`` (see ``rsbench.tasks.classification``).

    A name that ends in ``:*`` is a family: ``resolver(member)`` gives the spec of one member or ``None``;
    ``members(pattern)`` lists names; ``example`` is the member that the conformance kit builds.
    test_options: options with which the kit builds it, where the defaults need a download or minutes.
    provenance: see :func:`check_provenance`; of a published system.
    """

    factory: str
    tasks: tuple[str, ...] = ("classification",)
    kind: str = "network"  # network | estimator
    accepts: Accepts = field(default_factory=Accepts)
    options: Mapping[str, Option] = field(default_factory=dict)
    recipes: tuple[str, ...] = ()  # open-division recipes of its authors, the first is the default of that division
    params: int | None = None  # trainable parameters at 3 channels and 10 classes
    pretrained_on: str | None = None
    license: str = "MIT"
    citation: str = ""
    # "baseline", a line to beat; "required-baseline", one that sees too little to solve the task, so that results have
    # to be above it; "reconstruction"; or others
    tags: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()  # submodules that tasks trained together have in common, e.g. ("encoder",)
    test_options: Mapping[str, Any] = field(default_factory=dict)
    resolver: str | None = None
    members: str | None = None
    example: str | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Spec.__post_init__(self)
        if isinstance(self.tags, tuple):
            tags = map(partial(renamed.current, renamed.TAG, depth=3), self.tags)
            object.__setattr__(self, "tags", tuple(tags))
        check_provenance(self.provenance, reconstruction="reconstruction" in self.tags)
        if other := {name for name, option in self.options.items() if option.file_unless} - {"weights"}:
            raise SpecError(f"option '{min(other)}' of '{self.name}' holds paths; only one called 'weights' may")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(Spec):
    """A dataset.  ``source(root, spec)`` returns a ``rsbench.data.source.Source`` over raw files below *root*;
    ``fake(root, spec, **sizes)`` writes a small fake set there in the true on-disk format.

    all_classes: every class has samples; where one has none, files are missing.
    place: path of the files of a member of a family whose members are paths, with the *settings* that its name gives
        besides; such data are prepared at their first use.
    reads: names ``reads(spec) -> [path, ...]``, the files at the place; when they change the data are prepared again.
    """

    source: str
    tasks: tuple[str, ...] = ("classification",)
    classes: tuple[str, ...] = ()
    bands: tuple[Band, ...] = ()
    image_size: int = 64
    samples: int | None = None
    class_counts: tuple[int, ...] = ()
    all_classes: bool = True
    files: tuple[RemoteFile, ...] = ()
    generated: bool = False  # True: `source` needs no raw files
    cluster_key: str | None = None
    fake: str | None = None
    default_protocol: str | None = None
    license: str = "unknown"
    citation: str = ""
    homepage: str = ""
    resolver: str | None = None
    members: str | None = None
    example: str | None = None  # the member of a family that the conformance kit takes
    place: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    reads: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec(Spec):
    """A loss.  ``factory(context, **options)`` returns a callable ``(logits [B, K], targets [B]) -> scalar``."""

    factory: str
    tasks: tuple[str, ...] = ("classification",)
    needs: tuple[str, ...] = ("logits",)  # logits | tokens | values | class_counts
    options: Mapping[str, Option] = field(default_factory=dict)
    citation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec(Spec):
    """An optimizer that a recipe may name besides torch's and timm's.  ``factory(groups, lr=..., **options)`` returns a
    ``torch.optim.Optimizer``; each of the *groups* of parameters has its ``weight_decay``."""

    factory: str
    citation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec(Spec):
    """A metric.  ``factory(context, **options)`` returns a ``rsbench.metrics.contract.Metric``.

    golden: names ``golden(spec) -> Iterable[rsbench.metrics.contract.Golden]``: small cases whose value is known from
        elsewhere (by hand, from another implementation), which the conformance kit runs.
    proportion: the score is the share of samples whose statistic is 1, of 0 and 1; it has Wilson's interval.
    """

    factory: str
    tasks: tuple[str, ...] = ("classification",)
    options: Mapping[str, Any] = field(default_factory=dict)
    proportion: bool = False
    higher_is_better: bool | None = True
    range: tuple[float | None, float | None] = (0.0, 1.0)
    unit: str = "fraction"
    needs: tuple[str, ...] = ("label",)  # label | probabilities
    golden: str | None = None
    citation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training that overrides its recipe: the fields given replace the recipe's."""

    epochs: int
    train_only: str | None = None  # regular expression over parameter names; the others are frozen
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSpec(Spec):
    """How a model is trained.

    optimizer: a name timm's ``create_optimizer_v2`` knows (``sgd``, ``adamw``, ...), or that of an ``OptimizerSpec``.
    lr: learning rate per step; schedule: ``constant | cosine | linear | onecycle | cosine_restarts | plateau``.
    warmup: epochs of linear warm-up.  weight_decay: decoupled for AdamW; no_decay: regular expressions of parameter
    names that are exempt (``"norm_and_bias"`` is short for all one-dimensional ones).
    augmentation: name -> strength, as in ``rsbench.engine.input.augmentation``.
    drop_last: leave out the last batch of an epoch where it is smaller than ``batch``.
    precision: the authors', ``fp32``, ``bf16`` or ``fp16`` (on a GPU; fp32 on a CPU); ``auto`` leaves it to the device.
    patience: epochs without a better validation loss before training stops, or ``None``.
    validate_from: the first epoch that is scored on the validation split; all later ones are, too.
    task_options: what a task leaves open; captioning: ``min_count`` (of a word in the vocabulary), ``max_words``,
    ``sentences`` (learned of each image in a step), ``beam``, ``length_penalty``, ``temperature``; VQA: ``min_count``,
    ``max_words``, ``questions_per_image`` (together in a step).
    fit: names what fits a network in place of epochs of gradient descent, such as a linear probe of its features: a
        class with the members of ``rsbench_probes.probe:Probe``.  Of such a recipe no field of an optimizer counts.
    fit_options: all settings of it, with defaults.
    provenance: see :func:`check_provenance`; of a published recipe.
    """

    tasks: tuple[str, ...] = ("classification",)
    optimizer: str = "adamw"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    lr: float = 1e-3
    schedule: str = "cosine"
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    warmup: float = 0.0
    weight_decay: float = 0.05
    no_decay: tuple[str, ...] = ("norm_and_bias",)
    batch: int = 64
    drop_last: bool = True
    epochs: int = 30
    seconds: float | None = None
    loss: str = "cross-entropy"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "auto"  # one of PRECISIONS
    ema: float | None = None
    clip_grad: float | None = None
    patience: int | None = None
    validate_from: int = 1
    phases: tuple[Phase, ...] = ()
    task_options: Mapping[str, Any] = field(default_factory=dict)
    fit: str | None = None
    fit_options: Mapping[str, Any] = field(default_factory=dict)
    reconstruction: bool = False
    citation: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Spec.__post_init__(self)
        check_provenance(self.provenance, reconstruction=self.reconstruction)


# Fields of a recipe that describe it and say nothing about training.
RECIPE_DESCRIPTION: Final = ("name", "summary", "version", "tasks", "citation", "reconstruction", "provenance")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSpec(Spec):
    """What makes results comparable.  ``split(ids, columns) -> {"train": [...], "val": [...], "test": [...]}`` gives
    indices; its identity is the hash of the sample ids, so two routes to the same split are the same protocol.

    refit: what a recipe chooses on validation samples is then fitted to these as well; of recipes with a ``fit``.
    """

    dataset: str
    split: str
    task: str = "classification"
    split_options: Mapping[str, Any] = field(default_factory=dict)
    bands: tuple[str, ...] | None = None
    size: int | None = None
    primary: str = "overall_accuracy"
    metrics: tuple[str, ...] = ("overall_accuracy",)
    selection: str = "last"  # last | best_val
    seeds: tuple[int, ...] = (0, 1, 2)
    recipe: str = "standard-classification"
    targets: tuple[float, ...] = ()
    refit: bool = False
    citation: str = ""


@renamed.fields(renamed.TASK_SPEC)
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec(Spec):
    """A task.

    definition: names a :class:`rsbench.tasks.task.Task`, which needs no torch.
    training: names a subclass of :class:`rsbench.engine.tasks.base.TrainingTask`.
    test_inputs: names a :class:`rsbench.testing.trials.TaskTrial`, with which the conformance kit makes up inputs.
    primary: the metric by which predictions from files are ranked; without it the first that is installed.
    options: what a recipe may say of the task (``task_options``), with defaults.
    sample: of the made-up dataset on which speed is measured: ``size`` (pixels), ``classes`` (their number or names)
        and more entries of a plan's ``dataset``, such as ``words`` (of a vocabulary) and ``question_types``.
    strategies: how several devices may share a run, besides one process each with the whole network (``ddp``).
    """

    definition: str
    training: str
    test_inputs: str | None = None
    primary: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=lambda: {"size": 64, "classes": 10})
    strategies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One number as a paper prints it.

    system: as the paper calls it.  metric: rsbench's name for it; ``accuracy`` and ``f1`` are those of a ``part`` (a
        class, a type of question), and part ``"*"`` stands for each.
    value: the digits as printed, ``"95.55"`` or ``".9692"``, which say how it was rounded.
    unit: ``%``, ``x100``, ``M`` (millions) or nothing.  place: table or sentence; tables start with ``table``.
    relation: ``=``, or ``>`` or ``<`` where the paper only says that the number is above or below the value.
    minus: the value is the system's number less that of this other system.
    n: test samples that it is a share of.  runs: trainings that it is the mean of.  ``None`` is not known.
    certainty: ``paper`` (read there), ``code`` (in the authors' repository), ``derived`` (the only digits that fit
        other numbers), ``recalled`` (to be checked before it is quoted).
    protocol: rsbench's, where it is another than that of the set.
    """

    system: str
    metric: str
    value: str
    place: str
    unit: str = "%"
    part: str = ""
    relation: str = "="
    minus: str = ""
    n: int | None = None
    runs: int | None = None
    certainty: str = "paper"
    protocol: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        allowed = (("unit", PRINTED_UNITS), ("relation", ("=", ">", "<")), ("certainty", CERTAINTIES))
        for name, known in allowed:
            if getattr(self, name) not in known:
                raise SpecError(f"{name} '{getattr(self, name)}' of a claim is not one of {', '.join(known)}")
        if not PRINTED_NUMBER.fullmatch(self.value):
            raise SpecError(f"'{self.value}' is not a number as printed, such as '95.55'")

    @property
    def id(self) -> str:
        """What tells the claim from the others of its set: place, system, metric and part."""
        metric = f"{self.metric}[{self.part}]" if self.part else self.metric
        other = f" less {self.minus}" if self.minus else ""
        above = f" {self.relation}" if self.relation != "=" else ""
        return f"{self.place} / {self.system}{other} / {metric}{above}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSet(Spec):
    """What one paper reports on one dataset, its own systems and those it compares with.

    paper: short name that all sets of a paper share.  protocol: as the paper states it.  measured_by: the protocol of
        rsbench that comes nearest.
    parts: all classes or types of question of the test set.
    models: system to models that stand for it here, as ``model`` or, where the recipe tells systems apart,
        ``model@recipe``.
    left_open: what a reader would have to know to repeat it.
    """

    paper: str
    dataset: str
    protocol: str
    rows: tuple[Claim, ...]
    parts: tuple[str, ...] = ()
    measured_by: str | None = None
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_open: tuple[str, ...] = ()
    citation: str = ""

    def __post_init__(self) -> None:
        Spec.__post_init__(self)
        ids = [claim.id for claim in self.rows]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise SpecError(f"claims '{self.name}' hold '{twice[0]}' twice")
        unknown = sorted({c.part for c in self.rows} - {"", "*", *self.parts})
        if unknown:
            raise SpecError(f"claims '{self.name}' have no part '{unknown[0]}'")
