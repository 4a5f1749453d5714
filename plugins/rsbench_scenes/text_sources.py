"""Generated scenes with captions, with questions, and as files in the format of RSVQA-LR."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
from rsbench_rsvqa import schema as rsvqa

from rsbench.specs import DatasetSpec
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR
from rsbench_scenes.questions import questions, scene_number
from rsbench_scenes.sentences import captions
from rsbench_scenes.source import SceneSource

CAPTIONS_SEED: Final = 20_262
CAPTIONS_SIZES: Final = {"train": 1500, "val": 200, "test": 300}
QUESTIONS_SEED: Final = 20_263
QUESTIONS_SIZES: Final = {"train": 572, "val": 100, "test": 100}
ONE_MORE: Final = {"train": 25, "val": 20, "test": 25}  # one image in so many has 101 questions instead of 100
ENLARGED: Final = 4  # in files, a pixel becomes a square: images of RSVQA-LR are 256 pixels wide
DATE: Final = 1_543_589_204.0  # of everything: the files are the same whenever they are written

Asked = Sequence[Mapping[str, str]]


def captions_source(root: Path, spec: DatasetSpec) -> SceneSource:
    """Return scenes with a column ``sentences``, five a scene; *root* is not looked at."""
    del root, spec
    source = SceneSource(CAPTIONS_SEED, CAPTIONS_SIZES)
    graphs = map(source.scene_graph, range(len(source.image_ids)))
    source.columns["sentences"] = [captions(graph, CAPTIONS_SEED, i) for i, graph in enumerate(graphs)]
    return source


def questions_source(root: Path, spec: DatasetSpec) -> QuestionScenes:
    """Return scenes with questions as samples, 100 or 101 a scene; *root* is not looked at."""
    del root, spec
    source = QuestionScenes()
    asked = list(source.asked())
    for split, members in source.members.items():
        found, answers, _ = rsvqa_files(asked, members)
        part = rsvqa.columns(found["questions"], answers["answers"], split, {k: k for k in members})
        for name, values in part.items():
            source.columns.setdefault(name, []).extend(values)
    return source


class QuestionScenes:
    """Scenes to ask about, three in seven urban; images are called "0", "1", ... in the order train, val, test.

    Attributes:
        members: the images of each split.
    """

    def __init__(self, sizes: Mapping[str, int] = QUESTIONS_SIZES) -> None:
        self.scenes = SceneSource(QUESTIONS_SEED)
        self.shape, self.dtype = self.scenes.shape, self.scenes.dtype
        self.classes, self.question_types = ANSWERS_LR, TYPES_LR
        ends = list(accumulate(sizes.values()))
        self.members = {s: range(end - n, end) for (s, n), end in zip(sizes.items(), ends, strict=True)}
        self.image_ids = [str(k) for k in range(ends[-1])]
        self.columns: dict[str, list[Any]] = {}

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Draw images into uint8 ``out`` [n, 3, 64, 64]."""
        for k in range(start, stop):
            out[k - start], _ = self.draw(k)

    def draw(self, index: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Return image ``index``, uint8 [3, 64, 64], and its scene graph."""
        return self.scenes.draw(scene_number(index))

    def asked(self) -> Iterator[Asked]:
        """Yield the questions about each image (see :func:`rsbench_scenes.questions.questions`)."""
        for split, members in self.members.items():
            for place, k in enumerate(members):
                yield questions(self.draw(k)[1], QUESTIONS_SEED, k, question_count(split, place))


def question_count(split: str, place: int) -> int:
    """Return how many questions are about the image at a place in its split: 100, or now and then 101, such that 572,
    100 and 100 images have as many as RSVQA-LR."""
    return 100 + (place % ONE_MORE[split] == 0)


def rsvqa_files(asked: Sequence[Asked], members: range) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return what RSVQA-LR keeps of one split in its three files.

    Args:
        asked: questions about the images of all splits, image by image: numbers run through them all.
        members: the split's images; the others leave no more than ``{"id": n, "active": False}``.

    Returns:
        ``{"questions": [...]}``, ``{"answers": [...]}`` and ``{"images": [...]}``.
    """
    found: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    for k, about in enumerate(asked):
        numbers = range(len(found), len(found) + len(about))
        if k not in members:
            found += ({"id": n, "active": False} for n in numbers)
            answers += ({"id": n, "active": False} for n in numbers)
            images.append({"id": k, "active": False})
            continue
        common = {"date_added": DATE, "people_id": 0, "active": True}
        for n, q in zip(numbers, about, strict=True):
            words = {"type": q["type"], "question": q["question"]}
            found.append({"id": n, "img_id": k, **words, "answers_ids": [n], **common})
            answers.append({"id": n, "question_id": n, "answer": q["answer"], **common})
        name = {"original_name": f"scene_{k}.tif", "sensor": "generated", "type": "RGB"}
        images.append({"id": k, **name, "questions_ids": list(numbers), **common})
    return {"questions": found}, {"answers": answers}, {"images": images}


def write_rsvqa(folder: Path, sizes: Mapping[str, int] = QUESTIONS_SIZES) -> None:
    """Write a generated RSVQA-LR in its own format: nine json files and ``Images_LR/<number>.tif`` (RGB, 8 bits,
    256x256).

    Args:
        folder: made if it is not there.
        sizes: images of train, val and test; in full there are as many questions in each as in the original.
    """
    from PIL import Image

    source = QuestionScenes(sizes)
    asked = list(source.asked())
    (folder / "Images_LR").mkdir(parents=True, exist_ok=True)
    for k in range(len(asked)):
        pixels = source.draw(k)[0].repeat(ENLARGED, 1).repeat(ENLARGED, 2)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / "Images_LR" / f"{k}.tif")
    for split, members in source.members.items():
        for content in rsvqa_files(asked, members):
            (kind,) = content
            (folder / f"LR_split_{split}_{kind}.json").write_text(json.dumps(content))
