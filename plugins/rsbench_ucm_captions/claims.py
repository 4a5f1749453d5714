"""SpatialNet-ViT's table of captioning on UCM-captions: its own row and the six systems that it quotes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rsbench.specs import Claim, ClaimSet

_TABLE: Final = "table of UCM-captions"
_OURS: Final = "SpatialNet-ViT"
_METRICS: Final = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")
_LU: Final = "GoogLeNet hard attention (Lu 2017)"
_ZHAO: Final = "Structured attention (Zhao 2021)"
_LI: Final = "RASG (Li 2021)"
_YUAN: Final = "Multi-level attention, attribute GCN (Yuan 2019)"
_WANG: Final = "CSMLF (Wang 2019)"
_QU: Final = "VGG19+LSTM (Qu 2016)"
# As printed; a dash where the table has one.
_ROWS: Final = {
    _OURS: "88.50 84.25 79.70 75.30 50.60 85.00 398.50",
    _LU: "83.75 76.22 70.42 65.62 44.89 79.62 320.01",
    _ZHAO: "85.38 80.35 75.72 71.49 46.32 81.41 334.89",
    _LI: "85.18 79.25 74.32 69.76 45.71 80.72 338.87",
    _YUAN: "83.30 77.12 71.54 66.23 43.71 77.63 316.84",
    _WANG: "43.61 27.28 18.55 12.10 13.20 39.27 22.27",
    _QU: "63.80 53.60 37.70 21.90 20.60 - 45.10",
}
_TEXT: Final = {
    (_OURS, "BLEU-1"): "87.40",
    (_OURS, "BLEU-2"): "81.20",
    (_OURS, "BLEU-3"): "76.45",
    (_OURS, "BLEU-4"): "70.90",
    (_OURS, "METEOR"): "49.06",
    (_OURS, "CIDEr-D"): "371.02",
    (_LU, "BLEU-1"): "83.75",
    (_LU, "BLEU-2"): "76.22",
    (_LU, "BLEU-3"): "70.42",
    (_LU, "BLEU-4"): "65.62",
    (_ZHAO, "BLEU-1"): "85.38",
    (_ZHAO, "BLEU-2"): "80.35",
    (_ZHAO, "BLEU-3"): "75.72",
    (_ZHAO, "BLEU-4"): "71.49",
    (_LI, "CIDEr-D"): "338.87",
    (_YUAN, "CIDEr-D"): "316.84",
}


def _table() -> Iterator[Claim]:
    for system, values in _ROWS.items():
        for metric, value in zip(_METRICS, values.split(), strict=True):
            if value != "-":
                yield Claim(system=system, metric=metric, value=value, place=_TABLE, unit="x100")


def _text() -> Iterator[Claim]:
    for (system, metric), value in _TEXT.items():
        yield Claim(system=system, metric=metric, value=value, place="text", unit="x100")
    yield Claim(
        system=_OURS,
        metric="BLEU-4",
        value="71.49",
        place="text",
        unit="x100",
        relation=">",
        note="'significantly surpassing' structured attention, whose number it is",
    )
    for system, value in ((_WANG, "22.27"), (_QU, "45.10")):
        yield Claim(system=system, metric="CIDEr-D", value=value, place="text", note="printed with a percent sign")


SPATIALNET: Final = ClaimSet(
    name="spatialnet-vit-captions",
    summary="SpatialNet-ViT and six captioning systems on UCM-captions.",
    paper="spatialnet-vit",
    dataset="ucm-captions",
    protocol="UCM-captions, 80/10/10",
    measured_by="ucm-captions-standard",
    models={
        _OURS: ("spatialnet-vit",),
        _LU: ("googlenet-hard-attention",),
        _ZHAO: ("structured-attention",),
        _LI: ("rasg",),
        _YUAN: ("multilevel-attention-gcn",),
        _WANG: ("csmlf",),
        _QU: ("vgg19-lstm",),
    },
    rows=(*_table(), *_text()),
    left_open=(
        "which 80/10/10: the published one, or the random one that the code writes and does not read",
        "tokenizer, form of METEOR and of CIDEr, beam",
        "caption head and how it was trained; pre-training is claimed and not described",
        "number of trainings",
        "training settings of the six other systems, whose rows are quoted",
    ),
    citation="SpatialNet-ViT, arXiv 2506.22501 (IGARSS 2025); CIDEr is printed x100 of a score from 0 to 10",
)
