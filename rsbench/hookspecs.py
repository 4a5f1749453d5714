"""What a plugin may implement.

Every hook is optional.  A hook that returns specs may be a generator.  Observers are told of a run and never change
a number.  Each that is installed is told; one that is to be silent until it is asked for looks for its name in the
environment variable ``RSBENCH_OBSERVERS``, a comma-separated list to which ``rsbench run --observer NAME`` adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from rsbench.extensions import BoardSpec, ExporterSpec, FormatSpec, LauncherSpec, RunnerSpec
    from rsbench.specs import (
        ClaimSet,
        DatasetSpec,
        LossSpec,
        MetricSpec,
        ModelSpec,
        OptimizerSpec,
        ProtocolSpec,
        RecipeSpec,
        TaskSpec,
    )

PROJECT: Final = "rsbench"

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)


@hookspec
def rsbench_models() -> Iterable[ModelSpec]:  # type: ignore[empty-body]
    """Models and model families (``name="family:*"`` with a resolver)."""


@hookspec
def rsbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Datasets and dataset families."""


@hookspec
def rsbench_losses() -> Iterable[LossSpec]:  # type: ignore[empty-body]
    """Losses that a recipe may name."""


@hookspec
def rsbench_optimizers() -> Iterable[OptimizerSpec]:  # type: ignore[empty-body]
    """Optimizers that a recipe may name."""


@hookspec
def rsbench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Metrics that a protocol may name."""


@hookspec
def rsbench_protocols() -> Iterable[ProtocolSpec]:  # type: ignore[empty-body]
    """Protocols: what makes results on a dataset comparable."""


@hookspec
def rsbench_recipes() -> Iterable[RecipeSpec]:  # type: ignore[empty-body]
    """Training recipes."""


@hookspec
def rsbench_tasks() -> Iterable[TaskSpec]:  # type: ignore[empty-body]
    """Tasks beyond those of the core."""


@hookspec
def rsbench_claims() -> Iterable[ClaimSet]:  # type: ignore[empty-body]
    """Numbers that papers report."""


@hookspec
def rsbench_formats() -> Iterable[FormatSpec]:  # type: ignore[empty-body]
    """Formats in which ``rsbench leaderboard`` writes a board."""


@hookspec
def rsbench_boards() -> Iterable[BoardSpec]:  # type: ignore[empty-body]
    """Boards of something else than scores, such as that of ``rsbench leaderboard --time-to``."""


@hookspec
def rsbench_exporters() -> Iterable[ExporterSpec]:  # type: ignore[empty-body]
    """Forms of ``rsbench export --to`` and ``rsbench import --from``."""


@hookspec
def rsbench_runners() -> Iterable[RunnerSpec]:  # type: ignore[empty-body]
    """What turns plans into records: runs, and what else a command of a plugin plans."""


@hookspec
def rsbench_launchers() -> Iterable[LauncherSpec]:  # type: ignore[empty-body]
    """Where ``rsbench run --launcher`` lets runs happen."""


@hookspec
def rsbench_expected_failures() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Checks of :mod:`rsbench.testing` that a spec of this plugin fails by its nature, such as
    ``"metric/CIDEr-D/two-stage"``, each with the reason, which is shown."""


@hookspec
def rsbench_checks() -> Mapping[str, str]:  # type: ignore[empty-body]
    """More checks of the conformance kit: kind of spec -> ``"module:groups"``, a function from a spec to
    :class:`rsbench.testing.contract.Group`."""


@hookspec
def rsbench_commands(app: Any, chosen: str | None) -> None:
    """Called once with a Typer app, after the core's own commands are there.

    *chosen* is the command that is called (``None``: any); of others a line of help is all that is needed.
    """


@hookspec
def rsbench_remarks(table: Any) -> Iterable[str]:  # type: ignore[empty-body]
    """Sentences to stand below a ``rsbench.leaderboard.aggregate.Table``; called for each table of a board.

    A ``rsbench.leaderboard.remark.Remark`` is one that pages show as a small table.
    """


@hookspec
def rsbench_environment() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """More facts for the ``env`` of each record; called in the worker process."""


@hookspec
def rsbench_run_start(plan: Any) -> None:
    """Called in the worker process before a run builds anything."""


@hookspec
def rsbench_epoch_end(plan: Any, epoch: int, logs: Mapping[str, Any]) -> None:
    """Called after each epoch (counted from 1) with its learning-curve entry."""


@hookspec
def rsbench_run_end(plan: Any, record: Mapping[str, Any]) -> None:
    """Called once the record of a run is on disk, failed runs included."""


@hookspec
def rsbench_run_files(plan: Any) -> Iterable[str]:  # type: ignore[empty-body]
    """Lines that tell a person where an observer has put its files of a run and how they are opened; called once the
    runs are over, in the process of the command."""
