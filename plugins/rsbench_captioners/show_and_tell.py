"""VGG19 + LSTM (Qu et al. 2016): the image is the first thing that an LSTM reads."""

from __future__ import annotations

import torch
from rsbench_timm.encoders import Encoder, vector_encoder
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench_captioners.recurrent import Captioner, Images, State, projection


class ShowAndTell(Captioner):
    """One image vector into an LSTM before the first word, and never again."""

    def __init__(self, context: ModelContext, encoder: Encoder, width: int) -> None:
        super().__init__(context, encoder, width)
        self.image = projection(encoder.widths[-1], width)
        self.lstm = nn.LSTMCell(width, width)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the images' vectors, [I, D]."""
        return [self.encoder.vectors(images)]

    def start(self, images: Images) -> State:
        """Return the LSTM's state after the image."""
        h, c = self.lstm(self.image(self.encoder.vectors(images)))
        return {"h": h, "c": c}

    def advance(self, words: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Take words; the output is the LSTM's."""
        h, c = self.lstm(words, (state["h"], state["c"]))
        return h, {"h": h, "c": c}


def vgg19_lstm(
    context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int, width: int
) -> ShowAndTell:
    """Build the system; VGG's vector is fc7 (4,096 numbers), that of other backbones the mean of the last map.

    Args:
        context: bands, size and vocabulary.
        backbone, weights, freeze, input_size: as in :func:`rsbench_timm.encoders.vector_encoder`.
        width: of the LSTM's state and of word vectors.
    """
    return ShowAndTell(context, vector_encoder(context, backbone, weights, freeze, input_size), width)
