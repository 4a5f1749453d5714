"""Records of predictions that were made elsewhere, division ``external``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.plan import dataset_block, digest, protocol_block
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.specs import ProtocolSpec
from rsbench.tasks.task import Outcome, get_task

EXTERNAL: Final = "external"  # division of what was made elsewhere; kind of a model known by its predictions alone
LONGEST: Final = 60  # bytes of a word in a run id; a file system takes 255 in all


def save(
    system: str,
    outcome: Outcome,
    scored: dict[str, Any],
    stored: Path,
    manifest: dict[str, Any],
    protocol: ProtocolSpec,
    out: Path,
    seed: int = 0,
) -> Path:
    """Keep a scored prediction as a record in ``<out>/<run id>`` and return its path.

    What is not known of the system (its code, its training, its machine) is null.

    Args:
        system: its name on the board.
        outcome: predictions and references of the test split.
        scored: as :func:`rsbench.tasks.scoring.score_outcome` returns it.
        stored, manifest: folder and manifest of the prepared dataset.
        protocol: whose test split it is.
        out: folder of records.
        seed: by which the training that led to these predictions differs from others of the same system.

    Raises:
        UserError: the same predictions of this system are kept there already.
    """
    dataset = {**dataset_block(stored, manifest), "store": ""}
    block = protocol_block(stored, manifest, protocol)
    model = {"name": system, "label": system, "version": "unknown", "options": {}, "kind": EXTERNAL, "tags": []}
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out, prefix=".external-") as temporary:
        written = Path(temporary) / store.PREDICTIONS
        get_task(protocol.task).write(written, outcome)
        name = run_id(system, seed, dataset, block, store.sha256_file(written))
        folder = out / name
        if store.finished(folder):
            raise UserError(f"{folder} holds a record of these predictions already; delete it to keep them anew.")
        folder.mkdir(exist_ok=True)
        path = written.replace(folder / written.name)
    plan = {
        "task": protocol.task,
        "seed": seed,
        "division": EXTERNAL,
        "model": model,
        "dataset": dataset,
        "protocol": block,
        "recipe": {},
    }
    artifact = {"path": path.name, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}
    record = blank_record(name, plan) | {
        "status": "ok",
        "metrics": scored["metrics"],
        "by_group": scored["by_group"],
        "artifacts": {"predictions": artifact},
    }
    return store.save(record, folder)


def run_id(system: str, seed: int | None, dataset: Mapping[str, Any], protocol: Mapping[str, Any], sha256: str) -> str:
    """Return a name that changes with the system and its seed, with what makes results comparable, and with its
    predictions.

    Args:
        system: as it is called.
        seed: of its training; ``None``: as ids were made before there were seeds.
        dataset, protocol: blocks of a plan.
        sha256: of the file of predictions.
    """
    seeds = [] if seed is None else [seed]
    content = digest([system, *seeds, protocol["fingerprint"], sha256])[:8]
    return run_name((dataset["name"], system, protocol["name"], EXTERNAL, *(f"s{s}" for s in seeds)), content)


def run_name(words: Iterable[str], content: str) -> str:
    """Return a run id, which is the name of a folder: *words*, each cut where it is long, and the hash of the content
    that tells apart what is cut."""
    return "-".join([*map(_slug, words), content])


def _slug(text: str) -> str:
    plain = "".join(c if c.isalpha() or c.isdecimal() or c in "._+-" else "-" for c in text)
    return plain.encode()[:LONGEST].decode(errors="ignore")
