"""STAC items that describe a trained model by the Machine Learning Model extension, version 1.5.0.

See https://github.com/stac-extensions/mlm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.records.store import LoadedRecord
from rsbench.specs import RECIPE_DESCRIPTION
from rsbench.tasks.task import get_task
from rsbench.tasks.weights import read_metadata

MLM: Final = "https://stac-extensions.github.io/mlm/v1.5.0/schema.json"
FILE: Final = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
MULTIHASH_SHA256: Final = "1220"  # code of SHA-256 and its length in bytes
SEMANTIC_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(\+[0-9A-Za-z.-]+)?")


def export(records: Sequence[LoadedRecord]) -> dict[str, str]:
    """Return an item for each record, to lie beside its weights."""
    return {f"{r.record['run_id']}.json": json.dumps(item(r), indent=1) + "\n" for r in records}


def item(loaded: LoadedRecord) -> dict[str, Any]:
    """Return the STAC item of a record.

    Raises:
        UserError: the record has no weights to describe.
    """
    record = loaded.record
    if "checkpoint" not in record["artifacts"]:
        raise UserError(f"{record['run_id']} has left no weights that a STAC item could describe.")
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [MLM, FILE],
        "id": record["run_id"],
        "geometry": None,  # not tied to a place
        "properties": properties(loaded),
        "links": [],
        "assets": assets(record),
    }


def properties(loaded: LoadedRecord) -> dict[str, Any]:
    """Return the item's properties; fields that are not known are left out."""
    record = loaded.record
    plan = record["plan"]
    model = plan["model"]
    weights = model["options"].get("weights", "none")
    found = {
        "datetime": record["created"],
        "created": record["created"],
        "description": f"{model['label']}, trained on {plan['dataset']['name']} by rsbench under the protocol "
        f"{plan['protocol']['name']} (fingerprint {plan['protocol']['fingerprint']}).",
        "bands": _named(plan),
        "mlm:name": "rsbench " + re.sub(r"[^A-Za-z0-9_.-]+", "-", model["name"]).strip("-."),
        "mlm:architecture": model["name"],
        "mlm:tasks": [_task(plan)],
        "mlm:framework": "PyTorch",
        "mlm:framework_version": _version(record),
        "mlm:total_parameters": (record["perf"] or {}).get("params"),
        "mlm:pretrained": weights != "none",
        "mlm:batch_size_suggestion": plan["recipe"].get("batch"),
        "mlm:accelerator": _accelerator(record),
        "mlm:input": [_input(loaded)],
        "mlm:output": [_output(plan)],
        "mlm:hyperparameters": {k: v for k, v in plan["recipe"].items() if k not in RECIPE_DESCRIPTION},
    }
    source = {"mlm:pretrained_source": "ImageNet" if weights == "imagenet" else None}
    return {k: v for k, v in found.items() if v is not None} | (source if weights in ("none", "imagenet") else {})


def _task(plan: dict[str, Any]) -> str:
    return get_task(plan["task"]).stac


def assets(record: dict[str, Any]) -> dict[str, Any]:
    """Return the weights, the predictions on the test split, and the record."""
    kept = record["artifacts"]
    weights = {
        "title": "Weights",
        "type": "application/vnd.safetensors",
        "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": "safetensors.torch.save_file",
        "bands": _named(record["plan"]),  # STAC 1.1 wants them here as well where an item has them
    }
    predictions = {
        "title": "Predictions of the test split",
        "type": "application/vnd.apache.parquet",
        "roles": ["data"],
    }
    found = {"model": _file(kept["checkpoint"]) | weights}
    if "predictions" in kept:
        found["predictions"] = _file(kept["predictions"]) | predictions
    found["record"] = {"href": "./record.json", "title": "Record", "type": "application/json", "roles": ["metadata"]}
    return found


def _file(artifact: dict[str, Any]) -> dict[str, Any]:
    return {
        "href": f"./{artifact['path']}",
        "file:size": artifact["bytes"],
        "file:checksum": MULTIHASH_SHA256 + artifact["sha256"],
    }


def _bands(plan: dict[str, Any]) -> list[str]:
    return list(plan["protocol"]["bands"] or plan["dataset"]["bands"])


def _named(plan: dict[str, Any]) -> list[dict[str, str]]:
    return [{"name": name} for name in _bands(plan)]


def _input(loaded: LoadedRecord) -> dict[str, Any]:
    plan = loaded.record["plan"]
    bands = _bands(plan)
    size = plan["protocol"]["size"] or plan["dataset"]["image_shape"][-1]
    return {
        "name": "image",
        "bands": bands,
        "input": {
            "shape": [-1, len(bands), size, size],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "description": f"Values in the unit {plan['dataset']['units'][0]}, scaled band by band.",
        "value_scaling": _scaling(loaded),
        "resize_type": None,
    }


def _scaling(loaded: LoadedRecord) -> list[dict[str, Any]] | None:
    """What is subtracted and divided by in each band, from the weights' own metadata; ``None`` without them."""
    path = loaded.artifact("checkpoint")
    facts = read_metadata(path) if path else {}
    if "normalization" not in facts:
        return None
    kept = json.loads(facts["normalization"])
    return [{"type": "z-score", "mean": m, "stddev": s} for m, s in zip(kept["mean"], kept["std"], strict=True)]


def _output(plan: dict[str, Any]) -> dict[str, Any]:
    captions = get_task(plan["task"]).generative
    classes = plan["dataset"]["classes"]
    return {
        "name": "tokens" if captions else "logits",
        "tasks": [_task(plan)],
        "result": {
            "shape": [-1, -1] if captions else [-1, len(classes)],
            "dim_order": ["batch", "token" if captions else "class"],
            "data_type": "int64" if captions else "float32",
        },
        "classification:classes": []
        if captions
        else [
            {"value": number, "name": re.sub(r"[^0-9A-Za-z_-]+", "-", name), "description": name}
            for number, name in enumerate(classes)
        ],
    }


def _version(record: dict[str, Any]) -> str | None:
    version = str((record["env"] or {}).get("torch") or "")
    return version if SEMANTIC_VERSION.fullmatch(version) else None


def _accelerator(record: dict[str, Any]) -> str | None:
    """The kind of device of the run, where the extension has a name for it."""
    env = record["env"] or {}
    kind = (env.get("device") or {}).get("type")
    if kind == "cpu":
        return "amd64" if "x86_64" in env["os"] else None
    return kind if kind == "cuda" else None
