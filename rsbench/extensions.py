"""What a plugin declares of the program: formats and boards of results, forms of others, what plans become records by,
and places where runs happen.

As all specs, these name their code as ``"module:attribute"`` and never import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rsbench.specs import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSpec(Spec):
    """A format of ``leaderboard --format``.  ``render(board) -> str`` takes a ``rsbench.leaderboard.board.Board`` and,
    by keyword, what *takes* names.

    takes: ``output``, the file that is to be written, or ``None``; ``samples``, protocol fingerprint -> what *samples*
        returned, or ``None``.
    samples: ``samples(table, root, count)`` returns what the format shows of so many test images of a
        ``rsbench.leaderboard.aggregate.Table``; *root* is the data root.
    beside: ending -> ``function(board) -> str`` of each file that is written beside *output*.
    files: in place of *render*, ``files(board, output) -> {path: bytes}`` of a format of several files, or no text.
    """

    render: str = ""
    suffix: str = ""  # of its files, such as ".html"
    takes: tuple[str, ...] = ()
    samples: str | None = None
    beside: Mapping[str, str] = field(default_factory=dict)
    files: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSpec(Spec):
    """A board of something else than scores, by ``leaderboard --NAME``.  ``build(records, unreadable=0, **filters)``
    returns an object with ``problems``, a sentence each, from records of ``rsbench.records.store.LoadedRecord``;
    *unreadable* counts those that could not be read, *filters* are options of the command.

    render: names a mapping from formats to functions from what was built to text.
    takes: filters of the command that it heeds: ``task``, ``dataset``, ``protocol``, ``division``, ``tag``.
    numbers: options of its own, each of which may be repeated: name -> (what stands for the number, help).
    """

    build: str
    render: str
    title: str  # as in "the board of throughput"
    takes: tuple[str, ...] = ()
    numbers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    examples: tuple[str, ...] = ()  # commands, for the help


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSpec(Spec):
    """A form in which others keep results.

    write: ``write(records) -> {path: text}`` for ``export --to``; records are ``rsbench.records.store.LoadedRecord``,
        paths relative to where the files are to be put.
    read: ``read(file, out) -> (lines, problems)`` for ``import --from``: keeps what a file reports as records below
        *out*; says what became of it, and what is wrong with it.
    """

    write: str | None = None
    read: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LauncherSpec(Spec):
    """Where runs happen.  ``pool(launch, plans)`` returns a context manager that gives a
    ``rsbench.engine.launch.pool.Pool``, from a ``rsbench.engine.launch.pool.Launch``.

    takes: fields of the ``Launch`` that it heeds besides ``parallel``: ``address``, ``cpus``, ``gpus``.
    """

    pool: str
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSpec(Spec):
    """What turns plans into records; a plan says by its ``runner`` which does.

    Those that have a *division* of their own measure something else than scores.  Their records hold no metrics and
    stand on a board of the same name.

    run: ``run(plans, context)`` yields for each plan what its record holds beside it, such as ``perf`` or ``metrics``;
        *plans* is one, or those of one group, *context* a ``rsbench.engine.run.report.RunContext``.  What it raises is
        written into the records that are not there yet.
    division: of its plans, where it is not ``closed``, ``open``, ``external`` or ``debug``.
    keeps: options of how a run is executed, such as ``threads``, that the command in a record keeps, since what is
        measured depends on them.
    group: under which name records keep what a plan is run together with (:attr:`rsbench.plan.RunPlan.group`).
    run_id: of a division: ``run_id(plan) -> str`` gives the end of a run id, which changes with what is measured.
    checked: of a division: ``checked(record)`` yields for each figure whether it is right, a sentence for where it is
        not, and its places in ``perf``.
    recounted: of a division: ``recounted(record) -> {place in perf: value} | None`` gives what ``rsbench upgrade``
        computes anew of an old record; values are ``None`` where they cannot be computed here.
    """

    run: str
    division: str | None = None
    keeps: tuple[str, ...] = ()
    group: str | None = None
    run_id: str | None = None
    checked: str | None = None
    recounted: str | None = None
