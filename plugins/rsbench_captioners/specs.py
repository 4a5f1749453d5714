"""What the captioning systems are, without importing torch or timm."""

from __future__ import annotations

from typing import Final

from rsbench_timm.options import encoder_options, network_options, test_options

from rsbench.specs import Accepts, ModelSpec, Option

_OPEN: Final = "; training settings are not in what could be read"
_MINIMAL: Final = {
    "idea": "paper: its abstract, or what follows it; for vgg19-lstm recalled",
    "layers, widths, training": "ours: the smallest form of the idea; no code of the authors was found",
}


def _network(name: str, summary: str, factory: str, backbone: str, citation: str) -> ModelSpec:
    extra = {
        "width": Option(default=512, help="units of the LSTM, of word embeddings and of projected features"),
    }
    return ModelSpec(
        name=name,
        summary=summary,
        factory=f"rsbench_captioners.{factory}",
        tasks=("captioning",),
        accepts=Accepts(normalization="imagenet", min_size=32),
        options=network_options(backbone) | extra,
        test_options=test_options(freeze=False, width=64),
        citation=citation + _OPEN,
        tags=("reconstruction",),
        provenance=_MINIMAL,
    )


MODELS: Final = (
    _network(
        "vgg19-lstm",
        "VGG-19's fc7 vector opens an LSTM; no attention.",
        "show_and_tell:vgg19_lstm",
        "torchvision:vgg19",
        "Qu et al. 2016, Deep semantic understanding of high resolution remote sensing image",
    ),
    _network(
        "googlenet-hard-attention",
        "One place of GoogLeNet's grid a word, sampled and trained by REINFORCE.",
        "hard_attention:googlenet_hard_attention",
        "torchvision:googlenet",
        "Lu et al. 2017, arXiv 1712.07835, after Xu et al. 2015, arXiv 1502.03044",
    ),
    _network(
        "structured-attention",
        "Attention over segments of the image; superpixels stand in for selective search.",
        "structured_attention:structured_attention",
        "torchvision:resnet50",
        "Zhao et al. 2021, High-resolution remote sensing image captioning based on structured attention",
    ),
    _network(
        "rasg",
        "Two fused scales, attention read twice a word, and a gate between what is seen and what is said.",
        "rasg:rasg",
        "torchvision:resnet101",
        "Li et al. 2021, Recurrent attention and semantic gate for remote sensing image captioning",
    ),
    _network(
        "multilevel-attention-gcn",
        "Attention over space and scale, and a graph of attributes: frequent words less stop words, not tagged nouns.",
        "multilevel:multilevel_attention_gcn",
        "torchvision:resnet50",
        "Yuan et al. 2019, Multi-level attention and attribute graph convolution for captions of remote sensing images",
    ),
    ModelSpec(
        name="csmlf",
        summary="Retrieval: sentence of the training image whose collective sentence is nearest in a learned space; "
        "PPMI-SVD word vectors of the training captions stand in for GloVe.",
        factory="rsbench_captioners.csmlf:CSMLF",
        tasks=("captioning",),
        kind="estimator",
        accepts=Accepts(channels=3, unit="uint8", min_size=32),
        options=encoder_options("torchvision:resnet50"),
        test_options=test_options(),
        citation="Wang et al. 2019, Semantic descriptions of high-resolution remote sensing images" + _OPEN,
        tags=("reconstruction",),
        provenance=_MINIMAL | {"word vectors": "ours: PPMI and SVD of the training captions, not GloVe"},
    ),
)
