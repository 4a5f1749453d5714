"""Records in the forms that others read and write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rsbench import hookimpl
from rsbench.extensions import ExporterSpec


@hookimpl
def rsbench_commands(app: Any, chosen: str | None) -> None:
    """``rsbench export`` and ``rsbench import``, of whatever plugin has the form."""
    from rsbench_export.command import register

    register(app, chosen)


@hookimpl
def rsbench_exporters() -> Iterator[ExporterSpec]:
    """Model cards, STAC items, dataset descriptions, and the files of another benchmark."""
    yield ExporterSpec(
        name="hf",
        summary="A model card with evaluation results for the Hugging Face Hub.",
        write="rsbench_export.huggingface:export",
    )
    yield ExporterSpec(
        name="stac-mlm",
        summary="A STAC item of the Machine Learning Model extension, to lie beside the weights.",
        write="rsbench_export.stac_mlm:export",
    )
    yield ExporterSpec(
        name="croissant",
        summary="The dataset, its classes and the protocol's split, by mlcroissant.",
        write="rsbench_export.croissant:export",
    )
    yield ExporterSpec(
        name="torchgeo-bench",
        summary="One CSV of accuracies.",
        write="rsbench_export.torchgeo_bench:export",
        read="rsbench_export.torchgeo_import:import_file",
    )
