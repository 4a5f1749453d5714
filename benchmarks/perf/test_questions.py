"""Questions about shared images, at the full size of RSVQA-LR, against one image a question as people load them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
import torch
from ratios import paired
from rsbench_vqa.training import VQATraining
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from rsbench.data.prepare import prepare
from rsbench.engine.input.cpu_images import CpuImages
from rsbench.engine.input.loader import ArrayLoader, Group
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.input.run_data import open_data
from rsbench.engine.run.build import build_model, make_task, normalization
from rsbench.plan import RunRequest, expand
from rsbench.registry import registry
from rsbench.tasks.text import Vocabulary

CPU = torch.device("cpu")
QUESTIONS, IMAGES = 77_232, 772
BEST_BATCH = {64: 64, 256: 16}  # side in pixels -> pairs with which the loader of pairs was fastest
SMALL = {"dim": 32, "depth": 1, "heads": 2, "mlp": 64, "text_layers": 1}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> VQATraining:
    """Training on all generated questions, 512 at a time, by the standard recipe."""
    root = tmp_path_factory.mktemp("root")
    prepare(registry().get("dataset", "scenes-vqa"), None, root, workers=1)
    request = RunRequest(models=(("spatialnet-vit", SMALL),), dataset="scenes-vqa", data_root=root, device="cpu")
    (plan,) = expand(request)
    made = make_task(plan, open_data(plan))
    assert isinstance(made, VQATraining)
    assert (len(made.data.store.ids), len(made.data.store.images)) == (QUESTIONS, IMAGES)
    return made


class Store:
    """Images of a side in pixels, uint8 [772, 3, side, side]; those of 256 are the generated ones with larger pixels."""

    def __init__(self, task: VQATraining, side: int) -> None:
        times = side // 64
        self.images = np.ascontiguousarray(task.data.store.images.repeat(times, 2).repeat(times, 3))
        self.norm = normalization(task.plan, task.data)


class Counting(ArrayLoader):
    """Counts the bytes of images that are taken out of the store."""

    moved = 0

    def _rows(self, groups: list[Group]) -> np.ndarray:
        rows = super()._rows(groups)
        assert isinstance(self.source, CpuImages)
        self.moved += len(rows) * self.source.stored[0].nbytes
        return rows


def engine_loader(task: VQATraining, store: Store, targets: Any = None) -> Counting:
    """The engine's loader over the training questions, with the images of *store* and, if given, other *targets*."""
    made = task.make_loader(task.data.train, CPU, store.norm, training=True)
    return Counting(
        store.images,
        made.image_index,
        made.targets if targets is None else targets,
        made.samples,
        batch=made.batch,
        device=CPU,
        normalization=store.norm,
        bands=[0, 1, 2],
    )


class Pairs(Dataset):
    """One image and one question for each index."""

    def __init__(self, task: VQATraining, images: np.ndarray) -> None:
        self.images, self.image_index = torch.from_numpy(images), task.data.store.image_index
        self.tokens, self.answers = torch.from_numpy(task.tokens), torch.from_numpy(task.data.store.labels)
        self.moved = 0

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        image = self.images[self.image_index[index]]
        self.moved += image.nbytes
        return image, self.tokens[index], self.answers[index]


def pairs_of(pairs: Pairs, samples: np.ndarray, batch: int, norm: Normalization) -> Iterator[int]:
    """Load pairs and normalize each batch; yield its number of questions."""
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (norm.mean, norm.std))
    for images, tokens, _ in DataLoader(Subset(pairs, samples.tolist()), batch, shuffle=True):
        images.float().sub_(mean).div_(std)
        yield len(tokens)


@pytest.mark.parametrize("side", [64, 256])
def test_questions_a_second_and_bytes(benchmark, task: VQATraining, side: int) -> None:
    """A whole training epoch of ours; of pairs, as many as take about as long."""
    store = Store(task, side)
    ours, pairs = engine_loader(task, store), Pairs(task, store.images)
    asked = np.random.default_rng(0).permutation(task.data.train)[: 8_192 * 64 // side]
    epochs, questions = count(), 0

    def engine() -> None:
        nonlocal questions
        ours.moved = 0
        questions = sum(len(b.targets) for b in ours.training_epoch(next(epochs)))

    def naive() -> None:
        pairs.moved = 0
        assert sum(pairs_of(pairs, asked, BEST_BATCH[side], store.norm)) == len(asked)

    result = paired(engine, naive)
    less = (pairs.moved / len(asked)) / (ours.moved / questions)
    faster = questions / len(asked) / result["ratio"]
    benchmark.extra_info.update(
        ours=questions / result["ours"],
        peer=len(asked) / result["peer"],
        unit="questions/s",
        ratio=faster,
        bytes_of_epoch=ours.moved,
        bytes_of_epoch_peer=pairs.moved // len(asked) * questions,
    )
    benchmark.pedantic(engine, rounds=1)
    assert less >= 10
    assert faster >= 5


def text_epoch(loader: ArrayLoader, epoch: int) -> None:
    """Draw and select the questions of an epoch, batch by batch, without images."""
    order = loader.order(epoch)
    for k in range(len(loader)):
        items = loader.samples[order[k * loader.batch : (k + 1) * loader.batch]]
        loader.targets.select(items, epoch, CPU)


@pytest.mark.parametrize("side", [64, 256])
def test_text_against_images(benchmark, task: VQATraining, side: int) -> None:
    """Questions of an epoch against gathering and normalizing its images; 256 is the side of RSVQA-LR.

    At 64, images take no longer than their questions; what both are beside training, the next test shows.
    """
    store, epochs = Store(task, side), count()
    text = engine_loader(task, store)
    images = engine_loader(task, store, np.zeros(len(text.samples), dtype=np.int64))
    ours = lambda: text_epoch(text, next(epochs))  # noqa: E731
    result = paired(ours, lambda: sum(len(b.images) for b in images.training_epoch(0)))
    benchmark.extra_info.update(result)
    benchmark.pedantic(ours, rounds=3)
    assert result["ratio"] <= (0.2 if side == 256 else 2.0)


def test_text_against_training(benchmark, task: VQATraining) -> None:
    """Questions of an epoch, and a run's vocabulary and tokens, against the steps of an epoch of a tiny network.

    Of networks and images of practical size both are a smaller share.
    """
    loader, epochs = engine_loader(task, Store(task, 64)), count()
    model = build_model(task.plan, task.model_context())
    loss, steps = nn.CrossEntropyLoss(), 5

    def some_steps() -> None:
        for batch in islice(loader.training_epoch(0), steps):
            task.loss(model, batch, loss).backward()

    def tokens() -> None:
        texts = task.data.store.columns["question"]
        vocabulary = Vocabulary.of(texts[i] for i in task.data.train)
        assert len(vocabulary.encode(texts, 20, marks=False)) == QUESTIONS

    share = paired(lambda: text_epoch(loader, next(epochs)), some_steps)
    once = paired(tokens, some_steps, rounds=3)
    benchmark.extra_info.update(
        text_s=share["ours"],
        once_s=once["ours"],
        epoch_s=share["peer"] * len(loader) / steps,
        text_of_epoch=share["ratio"] * steps / len(loader),
        once_of_epoch=once["ratio"] * steps / len(loader),
    )
    benchmark.pedantic(tokens, rounds=1)
    assert benchmark.extra_info["text_of_epoch"] <= 0.02
    assert benchmark.extra_info["once_of_epoch"] <= 0.25
