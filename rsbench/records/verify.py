"""Holds a record against its predictions, its plan, its files and its digest.

What predictions or timed windows say is computed again; what specs, hashes and other fields say is compared; the rest,
such as seconds and memory, is covered by the digest alone.  A forger can make a digest anew: then what is computed or
compared still holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rsbench.cores import Processes, usable_cores
from rsbench.errors import UserError
from rsbench.records import facts
from rsbench.records.audit import AGREED, RECOMPUTED, TOLERANCE, Audit
from rsbench.records.installed import absent, advice, is_known
from rsbench.records.measured import is_measured, runner_of
from rsbench.records.results import recompute
from rsbench.records.store import LoadedRecord, load, sha256_file
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.task import Outcome, get_task

__all__ = [
    "TOLERANCE",
    "Evidence",
    "Verdict",
    "Verifiers",
    "audit",
    "check_content",
    "examine",
    "gather",
    "verify",
]

PREDICTIONS: Final = "predictions"
MANY: Final = 100  # records from which on it pays to start processes
CHUNK: Final = 5  # records handed over at once


@dataclass(frozen=True)
class Evidence:
    """What lies beside a record.

    Attributes:
        files: artifact -> (name, SHA-256, size in bytes), of those that are available.
        outcome: the predictions; ``None`` where there are none or they are not those of the record.
        error: why they cannot be read.
    """

    files: Mapping[str, tuple[str, str, int]] = field(default_factory=dict)
    outcome: Outcome | None = None
    error: str = ""


@dataclass(frozen=True)
class Verdict:
    """What was found of one record.

    Attributes:
        run_id: of the record, or its path where it cannot be read.
        status: ``verified``; ``wrong``; ``unverified`` where something that it takes is missing; ``failed``: a run
            that failed, of which there is nothing to verify.
        leaves: ``recomputed``: computed again; ``agreed``: held against specs, hashes or other fields; ``sealed``:
            covered by the digest alone, or by nothing where there is none; each with its number in each part.
        problems: what does not match, or could not be looked at.
        notes: what a reader should know besides.
    """

    run_id: str
    status: str
    leaves: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def count(self, how: str) -> int:
        """Return how many leaves were ``recomputed``, ``agreed``, or are ``sealed`` only."""
        return sum(self.leaves.get(how, {}).values())


def verify(loaded: LoadedRecord) -> list[str]:
    """Return what does not match: a changed or missing file, or a field that is not what it should be."""
    return list(examine(loaded).problems)


def examine(loaded: LoadedRecord) -> Verdict:
    """Hold a record against all there is to hold it against."""
    return audit(loaded.record, gather(loaded))


def gather(loaded: LoadedRecord) -> Evidence:
    """Read what lies beside a record."""
    files = {}
    for name in loaded.record["artifacts"]:
        path = loaded.artifact(name)
        if path is not None:
            files[name] = path.name, sha256_file(path), path.stat().st_size
    path = loaded.artifact(PREDICTIONS)
    entry = loaded.record["artifacts"].get(PREDICTIONS)
    if path is None or files[PREDICTIONS] != _entry(entry) or not is_known("task", loaded.record["plan"]["task"]):
        return Evidence(files)
    try:
        return Evidence(files, get_task(loaded.record["plan"]["task"]).read(path))
    except Exception as error:
        return Evidence(files, None, str(error) or type(error).__name__)


class Verifiers(Processes):
    """Processes that verify records, where there are enough of them."""

    def __init__(self) -> None:
        super().__init__(_prepare)

    def examine(self, files: Sequence[Path]) -> Iterator[Verdict]:
        """Yield what is found of each record, in their order; one that cannot be read is ``wrong``."""
        self.open(usable_cores() if len(files) >= MANY else 1)
        return self.map(_examine, files, CHUNK)


def _prepare() -> None:
    """Import what verifying needs."""
    import pyarrow.parquet  # noqa: F401

    registry()


def _examine(file: Path) -> Verdict:
    try:
        return examine(LoadedRecord(file, load(file)))
    except UserError as error:
        return Verdict(str(file), "wrong", problems=(str(error),))


def _entry(artifact: Mapping[str, Any]) -> tuple[str, str, int]:
    return artifact["path"], artifact["sha256"], artifact["bytes"]


def audit(record: Mapping[str, Any], evidence: Evidence) -> Verdict:
    """Hold a record against evidence; a pure function."""
    found = Audit(record)
    if record["status"] == "ok":
        _attempt(_run, found, evidence)
    facts.seal(found)
    status = "wrong" if found.wrong else "unverified" if found.missing else "verified"
    if status == "verified" and record["status"] != "ok":
        status = "failed"
    problems, notes = (*found.wrong, *found.missing), tuple(found.notes)
    return Verdict(record["run_id"], status, found.counts(), problems, notes)


def _attempt(fact: Callable[..., None], found: Audit, *given: Any) -> None:
    """Call a function that holds a record against something; a plan that nobody expects keeps no other from it."""
    try:
        fact(found, *given)
    except Exception as error:
        what = fact.__name__.strip("_")
        found.wrong.append(f"{what}: cannot be verified: {type(error).__name__}: {' '.join(str(error).split())}")


def _run(found: Audit, evidence: Evidence) -> None:
    _attempt(facts.amendments, found)
    _files(found, evidence)
    if is_measured(found.record):
        _attempt(_measured, found)
    elif PREDICTIONS in found.record["artifacts"]:
        _predictions(found, evidence)
    else:
        found.notes.append("reported by others: there are no predictions to compute from")
    _attempt(facts.timing, found)


def _measured(found: Audit) -> None:
    runner = runner_of(found.record)
    if runner is None:
        what = f"what measured '{found.record['plan']['division']}'"
        found.missing.append(advice(found.record, [what]))
        return
    _attempt(facts.identity, found)
    for same, text, places in load_attribute(runner.checked)(found.record) if runner.checked else ():
        found.expect(RECOMPUTED, same, text, *(("perf", *place) for place in places))


def _files(found: Audit, evidence: Evidence) -> None:
    for name, entry in found.record["artifacts"].items():
        if name in evidence.files:
            same = evidence.files[name] == _entry(entry)
            text = f"{entry['path']} is not the file that the record was made from"
            found.expect(RECOMPUTED, same, text, ("artifacts", name))
        elif name != PREDICTIONS:
            found.notes.append(f"{entry['path']} is not available")


def _predictions(found: Audit, evidence: Evidence) -> None:
    if found.wrong and PREDICTIONS in evidence.files and evidence.outcome is None and not evidence.error:
        return  # another file
    if not is_known("task", found.record["plan"]["task"]):
        found.missing.append(advice(found.record, absent(found.record)))
        return
    for fact in (facts.identity, facts.protocol, facts.training):
        _attempt(fact, found)
    if PREDICTIONS not in evidence.files:
        found.missing.append("its predictions are not available")
    elif evidence.outcome is None:
        found.wrong.append(f"its predictions cannot be read: {evidence.error}")
    else:
        _attempt(facts.samples, found, evidence.outcome.predictions.ids)
        found.hold(AGREED, ("status",), "ok")
        _attempt(recompute, found, evidence.outcome)


def check_content(name: str, content: bytes, artifact: dict[str, Any]) -> list[str]:
    """Return what does not match between the content of a file and its entry in a record."""
    if len(content) != artifact["bytes"] or hashlib.sha256(content).hexdigest() != artifact["sha256"]:
        return [f"{name} is not the file that the record was made from"]
    return []
