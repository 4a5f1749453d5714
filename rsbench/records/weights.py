"""The weights that a run has kept."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rsbench.errors import UserError
from rsbench.records.store import LoadedRecord, sha256_file

CHECKPOINT: Final = "checkpoint"


def weights_of(loaded: LoadedRecord) -> Path:
    """Return the file of a run's weights, whose digest is that of the record.

    Raises:
        UserError: there is none, or it is another.
    """
    record = loaded.record
    if record["status"] != "ok":
        raise UserError(f"{record['run_id']} did not finish, so it has no weights.")
    entry = record["artifacts"].get(CHECKPOINT)
    if entry is None:
        raise UserError(
            f"{record['run_id']} has kept no weights: its model has none, or its weights were tested from a file."
        )
    path = loaded.artifact(CHECKPOINT)
    if path is None:
        raise UserError(f"{entry['path']} of {record['run_id']} is missing: put it beside {loaded.file}.")
    if sha256_file(path) != entry["sha256"]:
        raise UserError(f"{path} is not the file that the record was made from: its digest is another.")
    return path
