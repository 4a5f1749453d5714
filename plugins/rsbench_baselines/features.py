"""Captions of the training image that an encoder finds most alike: what retrieval gives before anything is learned."""

from __future__ import annotations

import numpy as np
from rsbench_timm.encoders import vector_encoder
from rsbench_timm.vectors import image_vectors

from rsbench.tasks.context import ModelContext
from rsbench_baselines.captioning import NearestImage


class NearestImageFeatures(NearestImage):
    """Nearest by the cosine between vectors of a frozen encoder.

    Options are those of :func:`rsbench_timm.encoders.vector_encoder`.

    Args:
        context: bands and size of the images.
        backbone, weights, input_size: as in :func:`rsbench_timm.encoders.vector_encoder`.
    """

    def __init__(self, context: ModelContext, backbone: str, weights: str, input_size: int) -> None:
        self.encoder = vector_encoder(context, backbone, weights, True, input_size)
        super().__init__(self._directions, standardize=False)

    def _directions(self, images: np.ndarray) -> np.ndarray:
        """Vectors of length 1, whose Euclidean distances are in the order of their angles, float64 [N, D]."""
        vectors = image_vectors(self.encoder, images).double().numpy()
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)
