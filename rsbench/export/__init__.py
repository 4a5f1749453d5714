"""Records in the forms that others read.

Each module has ``export(records) -> {path: text}`` with paths relative to where the files are to be put.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rsbench.errors import UserError, did_you_mean
from rsbench.foreign import printable
from rsbench.records.store import LoadedRecord
from rsbench.specs import load_attribute

TARGETS: Final = {
    "hf": "rsbench.export.huggingface:export",
    "stac-mlm": "rsbench.export.stac_mlm:export",
    "croissant": "rsbench.export.croissant:export",
    "torchgeo-bench": "rsbench.export.torchgeo_bench:export",
}


def export(records: Sequence[LoadedRecord], target: str) -> dict[str, str]:
    """Return path -> text of *records* for one of :data:`TARGETS`.

    Raises:
        UserError: there is no such target, a record cannot be said in its form, or two of one run id differ.
    """
    check_target(target)
    failed = [r.record["run_id"] for r in records if r.record["status"] != "ok"]
    if failed:
        raise UserError(f"{failed[0]} has failed and holds no results to export.")
    made: dict[str, str] = load_attribute(TARGETS[target])(_once(records))
    return {path: printable(text) for path, text in made.items()}


def check_target(target: str) -> None:
    """Check that *target* is one of :data:`TARGETS`.

    Raises:
        UserError: it is none.
    """
    if target not in TARGETS:
        raise UserError(f"'{target}' is not a form.{did_you_mean(target, TARGETS)} Forms: {', '.join(TARGETS)}.")


def _once(records: Sequence[LoadedRecord]) -> list[LoadedRecord]:
    """Each record once, wherever it lies; files are named by run ids."""
    found: dict[str, LoadedRecord] = {}
    for loaded in records:
        run_id = loaded.record["run_id"]
        if found.setdefault(run_id, loaded).record != loaded.record:
            raise UserError(f"{run_id} names two records that differ, {found[run_id].path} and {loaded.path}.")
    return list(found.values())
