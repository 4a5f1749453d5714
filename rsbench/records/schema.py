"""The record of a run, in the schema :data:`rsbench.records.blank.SCHEMA`: one model, which writes the JSON Schema.

Records stay the plain dicts that were read, to the last digit, so that their digest holds; the model says what each
field is, and what does not fit is refused by file and field.  What is not known is null, never 0.  Fields that are
not required were added later, or are unknown of what was made elsewhere.  Plan, machine and speed may hold more than
is listed here, which a later rsbench or a plugin has put there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes that of typing from Python 3.12 on

from rsbench.foreign import in_one_line
from rsbench.plan import DIVISIONS
from rsbench.records.blank import SchemaName

CLOSED: Final = with_config(ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
OPEN: Final = with_config(ConfigDict(strict=True, extra="allow", allow_inf_nan=False))

SCORED, MEASURED = "scored", "measured"  # kinds of plans
Number = Annotated[float, Field(ge=-1e300, le=1e300)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Pair = Annotated[list[Number], Field(min_length=2, max_length=2)]
# The name of a file or folder: no path, nothing hidden, no white space.
FileName = Annotated[str, Field(pattern=r"^\w[\w.+-]*$", max_length=255)]
Target = Annotated[str, Field(pattern=r"^\d*\.?\d+([eE]-?\d+)?$")]


@OPEN
class Accepts(TypedDict, total=False):
    """What a model takes; see :class:`rsbench.specs.Accepts`."""

    channels: Count | None
    size: Count | None
    min_size: Count
    unit: str
    normalisation: str | None  # records keep the first name of Accepts.normalization


@OPEN
class Model(TypedDict):
    """What was run: a model and its options, its code and weights by their hashes."""

    name: str
    label: str
    options: NotRequired[dict[str, Any]]
    tags: NotRequired[list[str]]
    accepts: NotRequired[Accepts]
    params: NotRequired[Count | None]
    version: NotRequired[str | None]
    kind: NotRequired[str | None]
    factory: NotRequired[str | None]
    plugin: NotRequired[str | None]
    distribution: NotRequired[str | None]
    distribution_version: NotRequired[str | None]
    source_sha256: NotRequired[str | None]
    weights_sha256: NotRequired[str | None]


@OPEN
class Dataset(TypedDict):
    """The data: their name, what they hold, and the fingerprint of their content."""

    name: str
    version: NotRequired[str]
    fingerprint: NotRequired[str]
    store: NotRequired[str]
    image_shape: NotRequired[list[Count]]
    dtype: NotRequired[str]
    classes: NotRequired[list[str]]
    question_types: NotRequired[list[str]]
    bands: NotRequired[list[str]]
    units: NotRequired[list[str]]


@OPEN
class Sizes(TypedDict):
    """Samples of each part of a split."""

    test: Count
    train: NotRequired[Count | None]
    val: NotRequired[Count | None]


@OPEN
class Protocol(TypedDict):
    """What makes results comparable, and the fingerprint of it; see :class:`rsbench.specs.ProtocolSpec`."""

    name: str
    fingerprint: str
    primary: str
    metrics: list[str]
    split_sizes: Sizes
    split_sha256: NotRequired[dict[str, str]]
    version: NotRequired[str]
    task: NotRequired[str]
    bands: NotRequired[list[str] | None]
    size: NotRequired[Count | None]
    selection: NotRequired[str]
    targets: NotRequired[list[Number] | None]
    labels: NotRequired[dict[str, Number]]
    refit: NotRequired[bool]


@OPEN
class Recipe(TypedDict, total=False):
    """How it was trained, in the fields of :class:`rsbench.specs.RecipeSpec`; empty where it is not known."""

    name: str
    loss_options: dict[str, Any]
    task_options: dict[str, Any]


@OPEN
class Family(TypedDict, total=False):
    """The tasks that were trained together."""

    id: str
    member: str
    members: list[str]
    weights: list[Number] | str | None
    rounds: Count | None


@OPEN
class RunPlan(TypedDict):
    """What was run, to the last detail; see :class:`rsbench.plan.RunPlan`."""

    task: str
    seed: Whole
    division: Literal[DIVISIONS]  # type: ignore[valid-type]
    model: Model
    dataset: Dataset
    protocol: Protocol
    recipe: Recipe
    run_id: NotRequired[FileName]
    family: NotRequired[Family | None]
    command: NotRequired[str | None]
    device: NotRequired[str]
    threads: NotRequired[Count]
    overfit: NotRequired[Count | None]
    checkpoint: NotRequired[str | None]


@OPEN
class MeasuringProtocol(TypedDict):
    """How something else than scores, such as speed, was measured."""

    name: str
    fingerprint: str
    modes: NotRequired[list[str]]
    quick: NotRequired[bool]


@OPEN
class MeasuringRecipe(TypedDict):
    """What of a recipe decides on what was measured."""

    name: NotRequired[str]
    precision: NotRequired[str]
    compile: NotRequired[str | None]
    loss_options: NotRequired[dict[str, Any]]
    task_options: NotRequired[dict[str, Any]]


@OPEN
class MeasuringPlan(TypedDict):
    """What was measured by a runner with a division of its own; see :class:`rsbench.extensions.RunnerSpec`."""

    task: str
    seed: Whole
    division: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*$", json_schema_extra={"not": {"enum": [*DIVISIONS]}})]
    model: Model
    dataset: Dataset
    protocol: MeasuringProtocol
    recipe: MeasuringRecipe
    run_id: NotRequired[FileName]
    command: NotRequired[str | None]
    device: NotRequired[str]
    threads: NotRequired[Count]


def _kind(plan: Any) -> str | None:
    """Which of the two a plan is to fit; ``None``: it is none."""
    if not isinstance(plan, Mapping):
        return None
    division = plan.get("division", DIVISIONS[0])
    return SCORED if division in DIVISIONS or not isinstance(division, str) else MEASURED


@CLOSED
class Error(TypedDict):
    """Why a run failed."""

    stage: str
    type: str
    message: str


@CLOSED
class MetricValue(TypedDict):
    """One metric with the interval of the test sample; ``note`` says why there is no value."""

    value: Number | None
    ci95: Pair | None
    method: str | None
    n: Count
    clusters: Count | None
    version: str
    higher_is_better: bool | None
    unit: str
    primary: bool
    note: NotRequired[str | None]


@CLOSED
class Check(TypedDict):
    """One check; names that start with ``gate:`` decide whether a row is ranked."""

    name: str
    ok: bool
    detail: NotRequired[str]


@CLOSED
class Artifact(TypedDict):
    """A file beside the record."""

    path: FileName
    sha256: str
    bytes: Count


@OPEN
class Epoch(TypedDict, total=False):
    """One epoch of the learning curve, with what the network logs besides."""

    epoch: Count
    seconds: Number | None
    lr: Number | None
    train_loss: Number | None
    val_loss: Number | None
    val_accuracy: Number | None
    val_score: Number | None


@OPEN
class Sweep(TypedDict):
    """Settings that were tried, with their validation scores, and which was taken; each of *tried* names the *option*
    and holds the score that decided under the name that *by* says."""

    option: str
    chosen: Number
    by: str | None
    tried: list[dict[str, Any]]
    train_samples: Count
    val_samples: Count
    refit_samples: Count


@CLOSED
class Training(TypedDict):
    """What training did."""

    epochs: Count
    steps: Count
    samples: Count
    seconds: Number
    selected_epoch: Count | None
    initial_loss: Number | None
    curve: list[Epoch]
    time_to: Annotated[dict[Target, Number], Field(json_schema_extra={"additionalProperties": False})]
    sweep: NotRequired[Sweep]


@OPEN
class Point(TypedDict):
    """The timed windows of one batch size: medians and quartiles of samples a second."""

    batch: Annotated[int, Field(ge=1, le=2**53)]
    steps: Annotated[int, Field(ge=1, le=2**53)]
    samples_per_s: Number
    quartiles: Pair
    window_s: Annotated[list[Annotated[float, Field(gt=0, le=1e300)]], Field(min_length=1)]
    peak_memory_bytes: Count | None
    energy_j: Number | None


@OPEN
class DataWait(TypedDict):
    """Seconds of windows that were fed by the loader, and of those that waited for nothing."""

    share: Number
    fed_s: Annotated[list[Number], Field(min_length=1)]
    still_s: Annotated[list[Number], Field(min_length=1)]


@OPEN
class Mode(TypedDict):
    """What was measured of inference or training; ``batch`` is the one that is reported."""

    batch: Count
    points: list[Point]
    macs: Count | None
    peak_share: Number | None
    data_wait: NotRequired[DataWait | None]


@OPEN
class Latency(TypedDict):
    """Milliseconds of single inputs."""

    p50: Number
    p95: Number
    p99: Number


@OPEN
class Peak(TypedDict):
    """Operations a second that the device reached in matrix products."""

    flops: Number


@OPEN
class Drift(TypedDict):
    """How far logits are from those of eager float32."""

    max_abs: Number | None


@OPEN
class Performance(TypedDict, total=False):
    """Speed, size and memory: of a run, or of a measurement of throughput."""

    params: Count | None
    buffers: Count | None
    macs: Count | None
    train_samples_per_s: Number | None
    eval_samples_per_s: Number | None
    data_wait_fraction: Number | None
    peak_memory_bytes: Count | None
    load: Number | None
    cpu_over_wall: Number | None
    unit: str
    inference: Mode
    training: Mode
    latency_ms: Latency | None
    peak: Peak
    drift: Drift | None
    contention: dict[str, Any]
    flags: list[str]


@OPEN
class Device(TypedDict, total=False):
    """What it ran on; ``memory`` in bytes."""

    name: str
    type: str | None
    count: Count | None
    memory: Count | None


@OPEN
class Flags(TypedDict, total=False):
    """How it ran."""

    precision: str | None
    compile: str | bool | None
    threads: Count | None
    tf32: bool | None


@OPEN
class Environment(TypedDict, total=False):
    """Machine and software."""

    rsbench: str
    python: str | None
    os: str | None
    torch: str | None
    device: Device | None
    flags: Flags | None
    packages: dict[str, str | None]
    plugins: dict[str, Any]


@OPEN
class Timing(TypedDict, total=False):
    """Seconds, of the whole and of its stages."""

    total: Number | None
    stages: dict[str, Number]


@CLOSED
class Amendment(TypedDict):
    """One field, by its dotted path, that was changed after the record was made."""

    field: str
    was: Any
    now: Any
    why: str


@CLOSED
class Record(TypedDict):
    """A run: its plan, its results, and what they were obtained on.

    ``digest`` is the SHA-256 of the canonical JSON of all the rest (:func:`rsbench.records.seal.digest_of`); ``None``
    where nothing sealed the record when it was written.
    """

    schema: SchemaName
    run_id: FileName
    created: str
    status: Literal["ok", "failed"]
    error: Error | None
    plan: Annotated[Annotated[RunPlan, Tag(SCORED)] | Annotated[MeasuringPlan, Tag(MEASURED)], Discriminator(_kind)]
    metrics: dict[str, MetricValue]
    by_group: dict[str, Any]
    train: Training | None
    perf: Performance | None
    env: Environment | None
    checks: list[Check]
    artifacts: dict[str, Artifact]
    timing: Timing
    amended: list[Amendment]
    digest: str | None


@cache
def model() -> TypeAdapter[Record]:
    """The model, which is built at first use."""
    return TypeAdapter(Record)


def misfits(record: object) -> list[str]:
    """Return what does not fit, each as ``"field: why"``; fields by their dotted path."""
    from pydantic import ValidationError

    try:
        model().validator.validate_python(record)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return [in_one_line(f"{_path(one['loc'])}: {one['msg']}") for one in found]
    return []


def _path(place: tuple[int | str, ...]) -> str:
    """Without the kind of plan, which pydantic puts into it."""
    kept = (place[:1] + place[2:]) if place[:1] == ("plan",) and len(place) > 2 else place
    return ".".join(map(str, kept))
