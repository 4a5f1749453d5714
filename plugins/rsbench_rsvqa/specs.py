"""What the plugin gives, without importing NumPy."""

from __future__ import annotations

from typing import Final

from rsbench.specs import Band, DatasetSpec, ProtocolSpec, RemoteFile
from rsbench.tasks.answers import ANSWERS_LR
from rsbench.tasks.standard import VQA

_LOBRY: Final = "Lobry et al. 2020, RSVQA: Visual Question Answering for Remote Sensing Data"
_RECORD: Final = "https://zenodo.org/api/records/6344334"
_RGB: Final = tuple(Band(name=n, min=0, max=255) for n in ("red", "green", "blue"))


def _file(name: str, extract: bool = False, size: int | None = None) -> RemoteFile:
    url = f"https://zenodo.org/records/6344334/files/{name}?download=1"
    return RemoteFile(name=name, urls=(url,), record=_RECORD, bytes=size, extract=extract)


FILES: Final = (
    *(
        _file(f"LR_split_{split}_{what}.json")
        for split in ("train", "val", "test")
        for what in ("questions", "answers", "images")
    ),
    _file("Images_LR.zip", extract=True, size=95_008_155),
)

DATASETS: Final = (
    DatasetSpec(
        name="rsvqa-lr",
        summary="77,232 questions about 772 Sentinel-2 images of 256x256 pixels at 10 m, nine answers.",
        source="rsbench_rsvqa.source:source",
        tasks=("vqa",),
        all_classes=False,
        classes=ANSWERS_LR,
        bands=_RGB,
        image_size=256,
        samples=77_232,
        files=FILES,
        cluster_key="image",
        fake="rsbench_rsvqa.fake:write",
        default_protocol="rsvqa-lr-official",
        license="CC-BY-4.0",
        citation=_LOBRY,
        homepage="https://rsvqa.sylvainlobry.com",
    ),
    DatasetSpec(
        name="rsvqa-lr-questions",
        summary="RSVQA-LR without images (a black pixel stands for each): for what can be answered from words alone.",
        source="rsbench_rsvqa.source:questions_only",
        tasks=("vqa",),
        all_classes=False,
        classes=ANSWERS_LR,
        bands=_RGB,
        image_size=1,
        files=FILES[:-1],
        cluster_key="image",
        fake="rsbench_rsvqa.fake:write",
        default_protocol="rsvqa-lr-val-to-test",
        license="CC-BY-4.0",
        citation=_LOBRY,
        homepage="https://rsvqa.sylvainlobry.com",
    ),
)

PROTOCOLS: Final = (
    ProtocolSpec(
        name="rsvqa-lr-official",
        summary="The official split of 572/100/100 images, best epoch by accuracy on validation.",
        dataset="rsvqa-lr",
        task="vqa",
        split="rsbench.data.splits:from_column",
        size=256,
        primary="OA",
        metrics=VQA,
        selection="best_val",
        recipe="vqa-standard",
        citation=f"{_LOBRY}; the paper keeps the last epoch",
    ),
    ProtocolSpec(
        name="rsvqa-lr-val-to-test",
        summary="Trained on the 10,005 validation questions, tested on the 10,004 test questions, last epoch.",
        dataset="rsvqa-lr-questions",
        task="vqa",
        split="rsbench_rsvqa.source:val_to_test",
        size=1,
        primary="OA",
        metrics=VQA,
        selection="last",
        recipe="vqa-standard",
        citation="ours: a baseline of how far words alone go; not comparable with training on 57,223 questions",
    ),
)
