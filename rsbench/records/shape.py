"""What readers of many records rely on beyond the schema.

Plan, machine and speed are open mappings of a record, in which a plugin, a later rsbench or an editor may have put
anything.  A record that is not of this shape is left out by name, so that no reader has to expect the unexpected.
Keys that are not listed are free.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rsbench.errors import UserError

Number = Annotated[float, Field(ge=-1e300, le=1e300)]


class _Part(BaseModel):
    """Fields with a default may be missing."""

    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class _Accepts(_Part):
    normalisation: str | None = None


class _Model(_Part):
    name: str
    label: str
    options: dict[str, Any] = {}
    tags: list[str] = []
    accepts: _Accepts = _Accepts()
    version: str | None = None
    kind: str | None = None
    factory: str | None = None
    distribution: str | None = None
    source_sha256: str | None = None
    weights_sha256: str | None = None


class _Dataset(_Part):
    name: str
    fingerprint: str = ""
    classes: list[str] = []
    question_types: list[str] = []
    bands: list[str] = []
    units: list[str] = []
    image_shape: list[int] = []


class _Sizes(_Part):
    test: int
    train: int | None = None
    val: int | None = None


class _Protocol(_Part):
    name: str
    fingerprint: str
    primary: str
    metrics: list[str]
    split_sizes: _Sizes
    split_sha256: dict[str, str] = {}
    bands: list[str] | None = None
    size: int | None = None
    targets: list[Number] | None = None


class _Recipe(_Part):
    name: str = ""
    task_options: dict[str, Any] = {}
    loss_options: dict[str, Any] = {}


class _Family(_Part):
    members: list[str] = []
    weights: Any = None
    rounds: int | None = None


class _Plan(_Part):
    task: str
    seed: int
    division: str
    model: _Model
    dataset: _Dataset
    protocol: _Protocol
    recipe: _Recipe
    family: _Family | None = None
    command: str | None = None


class _Metric(_Part):
    value: Number | None
    ci95: Annotated[list[Number], Field(min_length=2, max_length=2)] | None
    n: int
    unit: str


class _Epoch(_Part):
    epoch: Number = 0.0
    seconds: Number | None = None
    train_loss: Number | None = None
    val_loss: Number | None = None
    val_accuracy: Number | None = None
    val_score: Number | None = None


class _Training(_Part):
    epochs: int
    samples: int
    seconds: Number
    curve: list[_Epoch]
    time_to: dict[Annotated[str, Field(pattern=r"^\d*\.?\d+([eE]-?\d+)?$")], Number]


class _Perf(_Part):
    params: Number | None = None
    eval_samples_per_s: Number | None = None
    data_wait_fraction: Number | None = None


class _Device(_Part):
    name: str = ""
    type: str | None = None
    count: int | None = None


class _Flags(_Part):
    precision: str | None = None
    compile: str | bool | None = None
    threads: int | None = None
    tf32: bool | None = None


class _Environment(_Part):
    device: _Device | None = None
    flags: _Flags | None = None
    os: str | None = None
    torch: str | None = None


class _Timing(_Part):
    stages: dict[str, Number] = {}


class _Check(_Part):
    name: str
    ok: bool
    detail: str = ""


class _Shape(_Part):
    run_id: str
    plan: _Plan
    metrics: dict[str, _Metric]
    train: _Training | None
    perf: _Perf | None
    env: _Environment | None
    timing: _Timing
    checks: list[_Check]


def check_shape(record: dict[str, Any]) -> None:
    """Check what readers of many records rely on.

    Raises:
        UserError: the first field that is missing or of another type, in one sentence.
    """
    try:
        _Shape.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {first['msg']}") from None
