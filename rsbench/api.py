"""What a notebook or a script asks of rsbench: run, read records, rank them.  The command line is a layer over it.

Importing this module imports nothing heavy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rsbench.errors import UserError, UserErrors
from rsbench.execution import OPTION_FIELDS, Execution
from rsbench.leaderboard.result import Leaderboard, leaderboard
from rsbench.records.sources import Source, load_records
from rsbench.registry import registry

if TYPE_CHECKING:
    from rsbench.engine.launch.launch import Launch
    from rsbench.engine.launch.run_result import Outcome
    from rsbench.plan import RunPlan, RunRequest

    Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]

__all__ = [
    "Leaderboard",
    "execute",
    "leaderboard",
    "load_records",
    "make_plans",
    "make_requests",
    "prepare_generated",
    "run",
]
DEMO: Final = Path(__file__).parent / "suites" / "demo.yaml"


def run(
    models: str | Sequence[str] | None = None,
    dataset: str | None = None,
    *,
    observers: Sequence[str] = (),
    launch: Launch | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Train and evaluate models on a dataset, or the runs of a suite; without either, the demo.

    Each run leaves a record in ``out``; a finished one is not run again.  A run that fails does not raise: its outcome
    has the status ``failed`` and the error.

    Args:
        models: one name, several with commas, or a list.
        dataset: its name.
        observers: names of observers to switch on, such as ``tensorboard``.
        launch: where to run; by default one run at a time in processes of this machine.
        on_event: gets events as they come: stages, progress, epochs, warnings.
        settings: see :func:`make_requests`.

    Raises:
        UserErrors: every problem of the request at once.
    """
    plans = make_plans(make_requests(models, dataset, **settings))
    return execute(plans, observers=observers, launch=launch, on_event=on_event)


def make_requests(
    models: str | Sequence[str] | None = None,
    dataset: str | None = None,
    *,
    suite: str | PathLike[str] | None = None,
    protocol: str | None = None,
    recipe: str | None = None,
    seeds: str | int | Sequence[int] | None = None,
    changes: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    precision: str | None = None,
    overfit: int | None = None,
    train_fraction: float | None = None,
    shots: int | None = None,
    start: Source | None = None,
    **how: Any,
) -> list[RunRequest]:
    """Return the requests that :func:`run` would make; names are not yet looked up.

    What is left out, or ``None``, is as the protocol has it.

    Args:
        models, dataset: names; models as a list, or with commas.
        suite: a YAML file of runs, in place of *models* and *dataset*; it holds the next nine itself, for each run.
        protocol, recipe: names.
        seeds: such as ``3``, ``"0-4"`` or ``[0, 2]``.
        changes: dotted fields of the recipe, ``{"lr": 0.1}``.
        options: of the models.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        overfit: train and test on this many training images.
        train_fraction: share of the images of each class in training and validation, drawn by the seed.
        shots: in place of that, how many of each class.
        start: a finished run, as for :func:`rsbench.load_model`, from whose weights training starts; its seed is the
            default then.
        how: fields of :class:`rsbench.execution.Execution`: device, devices, compile, threads, out, ...

    Raises:
        UserError: models and a suite, neither with a dataset, or settings that the suite has to hold itself.
        TypeError: there is no such field.
    """
    from rsbench.config import load_suite, parse_seeds
    from rsbench.plan import RunRequest

    of_runs = {
        "protocol": protocol,
        "recipe": recipe,
        "seeds": seeds,
        "changes": changes,
        "options": options,
        "precision": precision,
        "overfit": overfit,
        "train_fraction": train_fraction,
        "shots": shots,
        "start": start,
    }
    given: dict[str, Any] = {key: value for key, value in of_runs.items() if value not in (None, {})}
    how = {key: fspath(value) if isinstance(value, PathLike) else value for key, value in how.items()}
    execution = Execution.of(Execution(**{key: value for key, value in how.items() if value is not None}))
    if models is None or suite is not None:
        if models is not None:
            raise UserError("Give either models and a dataset, or a suite, not both.")
        if given:
            raise UserError(f"A suite holds {', '.join(sorted(given))} itself, for each run; write it into the file.")
        return load_suite(Path(suite or DEMO), **execution)
    if dataset is None:
        raise UserError(f"On which dataset shall {models} run? See: rsbench list datasets.")
    names = models.split(",") if isinstance(models, str) else models
    own = given.pop("options", {})
    if start is not None:
        from rsbench.engine.launch.run_folders import record_of

        parent = record_of(start, execution["out"])
        given = {"seeds": [parent.record["plan"]["seed"]], **given, "start": parent.file}
    if "seeds" in given:
        given["seeds"] = parse_seeds(given["seeds"])
    return [RunRequest(models=tuple((name.strip(), own) for name in names), dataset=dataset, **given, **execution)]


def _shown() -> inspect.Signature:
    """What a notebook shows of :func:`run`: all that it takes."""
    own = inspect.signature(run)
    every = {**own.parameters, **inspect.signature(make_requests).parameters}
    how = {f.name: inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default) for f in OPTION_FIELDS}
    kept = [p for p in (every | how).values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return own.replace(parameters=kept)


run.__signature__ = _shown()  # type: ignore[attr-defined]


def make_plans(
    requests: Iterable[RunRequest], progress: Progress | None = None, tell: Callable[[str], None] | None = None
) -> list[RunPlan]:
    """Prepare what is prepared at its first use (see :func:`prepare_generated`), and make the plan of every run.

    Raises:
        UserErrors: all problems of all requests.
    """
    from rsbench.continuation import start_from
    from rsbench.plan import expand
    from rsbench.records.store import LoadedRecord

    problems: list[str] = []
    plans: list[RunPlan] = []
    for request in requests:
        try:
            prepare_generated(request.dataset, request.data_root, progress, tell)
            made = expand(request)
            plans += made if request.start is None else [start_from(plan, LoadedRecord(request.start)) for plan in made]
        except UserError as error:
            found = error.problems if isinstance(error, UserErrors) else (str(error),)
            said = [f"{request.origin}: {p}" if request.origin else p for p in found]
            problems += [p for p in said if p not in problems]
    if problems:
        raise UserErrors(problems)
    return list({p.run_id: p for p in plans}.values())


def prepare_generated(
    name: str,
    data_root: str | PathLike[str] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Prepare at its first use a dataset that is generated, or that is read where it lies: the latter also when its
    files changed.

    Args:
        name: of a dataset of any kind.
        data_root: folder of prepared data; default: where commands look for them.
        progress: opens a bar of the title that it is called with.
        tell: called with sentences on why data are prepared again, and on how files were taken.

    Raises:
        UserError: what lies there is no dataset.
    """
    spec = registry().find("dataset", name)
    if spec is None or not (spec.generated or spec.place):
        return
    from rsbench.data import location, places
    from rsbench.data.manifest import store_path

    root = location.data_root(Path(data_root) if data_root else None)
    if places.is_prepared(store_path(root, spec), spec):
        return
    from rsbench.data.prepare import prepare

    with ExitStack() as stack:
        begun: list[Callable[[int, int], None]] = []  # what is there already shows no bar

        def on_progress(done: int, total: int) -> None:
            if progress is not None:
                begun[:] = begun or [stack.enter_context(progress(f"Preparing {spec.name}"))]
                begun[0](done, total)

        prepare(spec, None, root, on_progress=on_progress, tell=tell)


def execute(
    plans: Sequence[RunPlan],
    *,
    observers: Sequence[str] = (),
    launch: Launch | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> list[Outcome]:
    """Run *plans* and return an outcome for each that was started.

    Args:
        plans: as :func:`make_plans` or a suite gives them; one is run after another unless *launch* says otherwise.
        observers: names of those that are told of the runs.
        launch: where and how many at once; ``None``: here, one at a time.
        on_event: gets events as they come: stages, progress, epochs, warnings.

    Raises:
        UserError: there is no such observer, or the launcher cannot be used.
    """
    from rsbench.engine.launch.launch import run_plans
    from rsbench.observing import observing

    with observing(observers):
        return run_plans(plans, on_event=on_event or (lambda event: None), launch=launch)
