"""Croissant 1.0 descriptions of datasets, as JSON-LD: their files, classes and the split of a record's protocol.

See https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from rsbench.errors import UserError
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry
from rsbench.specs import DatasetSpec, RemoteFile

if TYPE_CHECKING:
    import mlcroissant as mlc

ENCODINGS: Final = {
    ".zip": "application/zip",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".rar": "application/vnd.rar",
}


def export(records: Sequence[LoadedRecord]) -> dict[str, str]:
    """Return a description for each dataset and protocol among the records."""
    plans = {(p["dataset"]["name"], p["protocol"]["name"]): p for p in (r.record["plan"] for r in records)}
    return {f"{d}-{p}.croissant.json".replace(":", "-"): describe(plan) for (d, p), plan in plans.items()}


def describe(plan: dict[str, Any]) -> str:
    """Return the JSON-LD of a plan's dataset.

    Raises:
        UserError: mlcroissant is not installed, or finds the description wrong.
    """
    try:
        import mlcroissant as mlc
    except ImportError:
        raise UserError("Croissant needs its library: pip install 'rsbench[croissant]'.") from None
    spec: DatasetSpec = registry().get("dataset", plan["dataset"]["name"])
    try:
        metadata = mlc.Metadata(
            name=spec.name.replace(":", "-"),
            description=spec.summary,
            license=[spec.license],
            url=spec.homepage or None,
            cite_as=spec.citation or None,
            version=None,  # rsbench counts versions otherwise than Croissant, which asks for three numbers
            distribution=[_file(mlc, file) for file in spec.files if file.sha256 or file.md5],
            record_sets=[*_classes(mlc, plan), _splits(mlc, plan)],
        )
    except mlc.ValidationError as error:
        raise UserError(f"'{spec.name}' cannot be said in Croissant: {' '.join(str(error).split())}") from None
    return json.dumps(metadata.to_json(), indent=1, default=str) + "\n"


def _file(mlc: Any, file: RemoteFile) -> mlc.FileObject:
    return mlc.FileObject(
        id=file.name,
        name=file.name,
        content_url=file.urls[0],
        content_size=f"{file.bytes} B" if file.bytes else None,
        encoding_formats=[ENCODINGS.get(PurePosixPath(file.name).suffix.lower(), "application/octet-stream")],
        sha256=file.sha256,
        md5=file.md5 if not file.sha256 else None,
    )


def _classes(mlc: Any, plan: dict[str, Any]) -> list[mlc.RecordSet]:
    """Class names in label order; answers in VQA.  Captions alone have none."""
    classes = plan["dataset"]["classes"]
    if not classes:
        return []
    rows = [{"label": number, "name": name} for number, name in enumerate(classes)]
    return [_table(mlc, "classes", "Classes by label.", {"label": "INTEGER", "name": "TEXT"}, rows)]


def _splits(mlc: Any, plan: dict[str, Any]) -> mlc.RecordSet:
    """How many samples each part of the protocol's split has, and the hash of their ids."""
    protocol = plan["protocol"]
    rows = [
        {"name": name, "samples": size, "ids_sha256": protocol["split_sha256"][name]}
        for name, size in protocol["split_sizes"].items()
        if name in protocol["split_sha256"]
    ]
    text = f"Split of rsbench's protocol {protocol['name']}, fingerprint {protocol['fingerprint']}."
    return _table(mlc, "splits", text, {"name": "TEXT", "samples": "INTEGER", "ids_sha256": "TEXT"}, rows)


def _table(mlc: Any, name: str, text: str, types: dict[str, str], rows: list[dict[str, Any]]) -> mlc.RecordSet:
    """A record set whose rows stand in the description itself."""
    fields = [
        mlc.Field(id=f"{name}/{field}", name=field, data_types=[getattr(mlc.DataType, kind)])
        for field, kind in types.items()
    ]
    data = [{f"{name}/{key}": value for key, value in row.items()} for row in rows]
    return mlc.RecordSet(id=name, name=name, description=text, fields=fields, data=data)
