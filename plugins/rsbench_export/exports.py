"""Records in the forms that others read and write, which plugins give."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rsbench.containment import contained
from rsbench.errors import UserError, did_you_mean
from rsbench.extensions import ExporterSpec
from rsbench.foreign import printable
from rsbench.registry import HOME, registry
from rsbench.specs import load_attribute

if TYPE_CHECKING:
    from rsbench.records.store import LoadedRecord


def targets() -> list[str]:
    """Return the names of what records can be written as."""
    return [name for name, spec in registry().specs("exporter").items() if spec.write]


def origins() -> list[str]:
    """Return the names of what can be read."""
    return [name for name, spec in registry().specs("exporter").items() if spec.read]


def export(records: Sequence[LoadedRecord], target: str) -> dict[str, str]:
    """Return path -> text of *records* for one of :func:`targets`, relative to where the files are to be put.

    Raises:
        UserError: there is no such target, a record cannot be said in its form, or two of one run id differ.
    """
    check_target(target)
    failed = [r.record["run_id"] for r in records if r.record["status"] != "ok"]
    if failed:
        raise UserError(f"{failed[0]} has failed and holds no results to export.")
    once, spec = _once(records), _spec(target)
    with _called(spec):
        made: dict[str, str] = load_attribute(spec.write or "")(once)
    return {path: printable(text) for path, text in made.items()}


def read(file: Path, out: Path, origin: str) -> tuple[list[str], list[str]]:
    """Keep what a file of one of :func:`origins` reports as records below *out*.

    Returns:
        What became of it, and what is wrong with it, in sentences.

    Raises:
        UserError: there is no such origin, or the file cannot be read.
    """
    _require(origin, origins())
    spec = _spec(origin)
    with _called(spec):
        found: tuple[list[str], list[str]] = load_attribute(spec.read or "")(file, out)
    return found


def check_target(target: str) -> None:
    """Check that *target* is one of :func:`targets`.

    Raises:
        UserError: it is none.
    """
    _require(target, targets())


def _require(name: str, known: Sequence[str]) -> None:
    if name not in known:
        forms = ", ".join(known) or "none is installed"
        raise UserError(f"'{name}' is not a form.{did_you_mean(name, known)} Forms: {forms}.")


def _spec(name: str) -> ExporterSpec:
    spec: ExporterSpec = registry().get("exporter", name)
    return spec


def _called(spec: ExporterSpec) -> AbstractContextManager[object]:
    """The door through which the code of others is called; where ours raises, it is the record that is named."""
    origin = registry().origin("exporter", spec.name)
    return nullcontext() if origin.distribution == HOME else contained(origin, f"exporter '{spec.name}'", limit=False)


def _once(records: Sequence[LoadedRecord]) -> list[LoadedRecord]:
    """Each record once, wherever it lies; files are named by run ids."""
    found: dict[str, LoadedRecord] = {}
    for loaded in records:
        run_id = loaded.record["run_id"]
        if found.setdefault(run_id, loaded).record != loaded.record:
            raise UserError(f"{run_id} names two records that differ, {found[run_id].path} and {loaded.path}.")
    return list(found.values())
