"""Records in the forms that others read.

Each module has ``export(records) -> {path: text}`` with paths relative to where the files are to be put.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rsbench.errors import UserError, did_you_mean
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
        UserError: there is no such target, or a record cannot be said in its form.
    """
    if target not in TARGETS:
        raise UserError(f"'{target}' is not a form.{did_you_mean(target, TARGETS)} Forms: {', '.join(TARGETS)}.")
    failed = [r.record["run_id"] for r in records if r.record["status"] != "ok"]
    if failed:
        raise UserError(f"{failed[0]} has failed and holds no results to export.")
    return load_attribute(TARGETS[target])(records)
