"""Records of predictions that were made elsewhere, division ``external``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rsbench.errors import UserError
from rsbench.plan import dataset_block, digest, protocol_block
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.specs import ProtocolSpec
from rsbench.tasks.kinds import Outcome, kind_of


def save(
    system: str,
    outcome: Outcome,
    scored: dict[str, Any],
    stored: Path,
    manifest: dict[str, Any],
    protocol: ProtocolSpec,
    out: Path,
) -> Path:
    """Keep a scored prediction as a record in ``<out>/<run id>`` and return its path.

    What is not known of the system (its code, its training, its machine) is null.

    Raises:
        UserError: the same predictions of this system are kept there already.
    """
    dataset = {**dataset_block(stored, manifest), "store": ""}
    block = protocol_block(stored, manifest, protocol)
    model = {"name": system, "label": system, "version": "unknown", "options": {}, "kind": "external", "tags": []}
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out, prefix=".external-") as temporary:
        written = Path(temporary) / "predictions.parquet"
        kind_of(protocol.task).write(written, outcome)
        content = digest([system, block["fingerprint"], store.sha256_file(written)])[:8]
        run_id = f"{manifest['name']}-{_slug(system)}-{protocol.name}-external-{content}"
        folder = out / run_id
        if store.finished(folder):
            raise UserError(f"{folder} holds a record of these predictions already; delete it to keep them anew.")
        folder.mkdir(exist_ok=True)
        path = written.replace(folder / written.name)
    plan = {
        "task": protocol.task,
        "seed": 0,
        "division": "external",
        "model": model,
        "dataset": dataset,
        "protocol": block,
        "recipe": {},
    }
    artifact = {"path": path.name, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}
    record = blank_record(run_id, plan) | {
        "status": "ok",
        "metrics": scored["metrics"],
        "by_group": scored["by_group"],
        "artifacts": {"predictions": artifact},
    }
    return store.save(record, folder)


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._+-" else "-" for c in text)
