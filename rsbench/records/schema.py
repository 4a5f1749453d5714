"""The record of a run, in the schema :data:`rsbench.records.blank.SCHEMA`.

What is not known is null, never 0.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rsbench.records.blank import SchemaName


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Error(_Part):
    """Why a run failed."""

    stage: str
    type: str
    message: str


class MetricValue(_Part):
    """One metric with the interval of the test sample."""

    value: float | None
    ci95: tuple[float, float] | None
    method: str | None
    n: int
    clusters: int | None
    version: str
    higher_is_better: bool | None
    unit: str
    primary: bool
    note: str | None = None  # why there is no value


class Check(_Part):
    """One check; names that start with ``gate:`` decide whether a row is ranked."""

    name: str
    ok: bool
    detail: str = ""


class Artifact(_Part):
    """A file beside the record."""

    path: str
    sha256: str
    bytes: int


class Training(_Part):
    """What training did."""

    epochs: int
    steps: int
    samples: int
    seconds: float
    selected_epoch: int | None
    initial_loss: float | None
    curve: list[dict[str, Any]]
    time_to: dict[str, float]


class Amendment(_Part):
    """One field, by its dotted path, that was changed after the record was made."""

    field: str
    was: Any
    now: Any
    why: str


class Record(_Part):
    """A run: its plan, its results, and what they were obtained on.

    ``digest`` is the SHA-256 of the canonical JSON of all the rest (:func:`rsbench.records.seal.digest_of`); ``None``
    where nothing sealed the record when it was written.
    """

    schema_: SchemaName = Field(alias="schema")
    run_id: str
    created: str
    status: Literal["ok", "failed"]
    error: Error | None
    plan: dict[str, Any]
    metrics: dict[str, MetricValue]
    by_group: dict[str, Any]
    train: Training | None
    perf: dict[str, Any] | None
    env: dict[str, Any] | None
    checks: list[Check]
    artifacts: dict[str, Artifact]
    timing: dict[str, Any]
    amended: list[Amendment]
    digest: str | None
