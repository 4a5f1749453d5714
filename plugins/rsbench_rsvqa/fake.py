"""Small made-up RSVQA-LR files in the true on-disk format, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.specs import DatasetSpec

ABSENT = {"active": False}


def write(root: Path, spec: DatasetSpec, images: tuple[int, int, int] = (6, 3, 3), seed: int = 0) -> None:
    """Write three splits of images, whose color answers four questions each, with placeholders of other splits.

    Args:
        root: folder to write to.
        spec: not used.
        images: of train, val and test.
        seed: of colors and noise.
    """
    from PIL import Image

    del spec
    rng = np.random.default_rng(seed)
    folder = root / "Images_LR"
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for part, count in zip(("train", "val", "test"), images, strict=True):
        lists: dict[str, list[dict[str, Any]]] = {"questions": [], "answers": [], "images": []}
        for _ in range(count):
            red = bool(rng.integers(2))
            color = (200, 60, 60) if red else (60, 60, 200)
            pixels = np.clip(np.array(color) + rng.normal(0, 20, (256, 256, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.tif")
            lists["images"].append({"id": number, "active": True})
            for k, (kind, text, answer) in enumerate(_questions(red, int(rng.integers(0, 2000)))):
                name = 4 * number + k
                question = {"id": name, "img_id": number, "type": kind, "question": text, "answers_ids": [name]}
                lists["questions"].append(question | {"active": True})
                lists["answers"].append({"id": name, "question_id": name, "answer": answer, "active": True})
            number += 1
        for what, rows in lists.items():
            path = root / f"LR_split_{part}_{what}.json"
            path.write_text(json.dumps({what: [*rows, {"id": 10_000} | ABSENT]}))


def _questions(red: bool, houses: int) -> tuple[tuple[str, str, str], ...]:
    return (
        ("rural_urban", "Is it a rural or an urban area", "urban" if red else "rural"),
        ("presence", "Is there a house?", "yes" if red else "no"),
        ("count", "How many houses are there?", str(houses if red else 0)),
        ("comp", "Are there more houses than trees?", "yes" if red else "no"),
    )
