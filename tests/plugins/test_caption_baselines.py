"""Captions borrowed from the nearest training image: by pixels and by an encoder's vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rsbench_baselines.captioning import NearestImageCaption, central
from rsbench_baselines.features import NearestImageFeatures
from rsbench_timm.vectors import image_vectors

from rsbench.tasks.context import ModelContext

CONTEXT = ModelContext(task="captioning", channels=3, size=32, classes=())
COLORS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]])


def scenes(kinds: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-25, 26, (len(kinds), 3, 32, 32))
    return np.clip(COLORS[kinds][:, :, None, None] + noise, 0, 255).astype(np.uint8)


def by_features(**options: object) -> NearestImageFeatures:
    torch.manual_seed(0)
    values = {"backbone": "timm:test_resnet", "weights": "none", "input_size": 0} | options
    return NearestImageFeatures(CONTEXT, **values)


def test_the_central_sentence_shares_most_words_with_the_others() -> None:
    """Dice by hand: first 2 * 2 / 5 + 2 * 1 / 5, second 2 * 2 / 5 + 2 * 2 / 4, third 2 * 1 / 5 + 2 * 2 / 4."""
    assert central(["a green field", "green field", "field , green !"]) == "green field"
    assert central(["roads cross here", "a red roof", "a roof"]) == "a red roof"
    assert central(["only one"]) == "only one"


@pytest.mark.parametrize("model", [NearestImageCaption(CONTEXT), by_features()], ids=["pixels", "features"])
def test_sentences_come_from_like_images(model: NearestImageCaption | NearestImageFeatures) -> None:
    kinds = np.arange(48) % 3
    images = scenes(kinds)
    sentences = [[f"a scene of kind {k}", f"kind {k} seen number {i}"] for i, k in enumerate(kinds)]
    model.fit(iter([images[:20], images[20:]]), sentences, None)
    asked = np.arange(30)[::-1] % 3
    assert model.caption(scenes(asked, seed=1)) == [f"a scene of kind {k}" for k in asked]


def test_the_nearest_by_features_has_the_largest_cosine() -> None:
    model = by_features()
    shown, asked = (np.random.default_rng(s).integers(0, 256, (40, 3, 32, 32), np.uint8) for s in (1, 2))
    model.fit([shown], [[str(i)] for i in range(40)], None)
    known, sought = (image_vectors(model.encoder, images) for images in (shown, asked))
    cosines = F.cosine_similarity(sought[:, None], known[None], dim=2)
    assert model.caption(asked) == [str(i) for i in cosines.argmax(1).tolist()]
    assert model.caption(shown) == [str(i) for i in range(40)]
    distances = torch.cdist(sought, known)
    assert (distances.argmin(1) != cosines.argmax(1)).any()  # lengths would matter


def test_vectors_do_not_depend_on_blocks_and_are_of_normalized_images() -> None:
    model = by_features()
    images = scenes(np.arange(70) % 3)
    vectors = image_vectors(model.encoder, images)
    parts = [image_vectors(model.encoder, part) for part in (images[:1], images[1:50], images[50:])]
    torch.testing.assert_close(vectors, torch.cat(parts), rtol=1e-4, atol=1e-5)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normal = (images.transpose(0, 2, 3, 1) / 255 - mean) / std
    last = model.encoder(torch.from_numpy(normal.transpose(0, 3, 1, 2)).float())[-1]
    torch.testing.assert_close(vectors, last.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert not vectors.requires_grad


def test_images_without_features_have_a_neighbor_all_the_same() -> None:
    model = by_features()
    model.encoder.trunk = _Nothing()
    model.fit([scenes(np.array([0, 1]))], [["first"], ["second"]], None)
    assert model.caption(scenes(np.array([1]))) == ["first"]


class _Nothing(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images.new_zeros(len(images), 4, 1, 1)]


@pytest.mark.real_data
def test_real_imagenet_features_tell_textures_apart(real_data) -> None:
    """Stripes and dots of the same mean and deviation, which pixel statistics cannot tell apart."""
    weights = real_data / "weights" / "squeezenet1_0_imagenet_tvnorm.npz"
    model = by_features(backbone="torchvision:squeezenet1_0", weights=str(weights))
    pixels = NearestImageCaption(CONTEXT, cells=1)
    sentences = [["stripes" if i % 2 else "dots"] for i in range(20)]
    for baseline in (model, pixels):
        baseline.fit([textures(20, seed=0)], sentences, None)
    asked = textures(40, seed=1)
    truth = ["stripes" if i % 2 else "dots" for i in range(40)]
    assert model.caption(asked) == truth
    assert np.mean([a == b for a, b in zip(pixels.caption(asked), truth, strict=True)]) < 0.9


def textures(count: int, seed: int) -> np.ndarray:
    """Even ones: pixels light or dark at random, in blocks of 4; odd ones: columns of 4 light or dark by turns."""
    rng = np.random.default_rng(seed)
    dots = rng.permuted(np.tile(np.arange(64) % 2, (count, 1)), axis=1).reshape(count, 8, 8).repeat(4, 1).repeat(4, 2)
    stripes = np.tile((np.arange(32) // 4) % 2, (count, 32, 1))
    light = np.where((np.arange(count) % 2 == 0)[:, None, None], dots, stripes)
    noise = rng.integers(0, 40, (count, 1, 1, 1))
    return np.repeat((60 + 100 * light)[:, None] + noise, 3, axis=1).astype(np.uint8)
