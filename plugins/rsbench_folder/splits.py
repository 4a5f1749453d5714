"""Which image is for training, validation and test: as files say it, or by a seed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from rsbench.errors import UserError, did_you_mean

TRAIN, VAL, TEST = "train", "val", "test"
PARTS: Final = (TRAIN, VAL, TEST)
WORDS: Final = {
    "train": TRAIN,
    "training": TRAIN,
    "restval": TRAIN,  # Karpathy's rest of COCO's validation images, which everybody trains on
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
}
FIFTH: Final = 20  # percent


def part_of(text: str, where: str) -> str:
    """Return the part that a word stands for, nothing for an empty one.

    Raises:
        UserError: it is none of :data:`WORDS`.
    """
    word = text.strip().lower()
    if word and word not in WORDS:
        raise UserError(f"{where} names split '{text:.40}', not train, val or test.{did_you_mean(word, WORDS)}")
    return WORDS.get(word, "")


def complete(
    parts: Sequence[str] | None, ids: Sequence[str], strata: Sequence[str], seed: int
) -> tuple[list[str], str]:
    """Return the part of each image (or nothing), and a sentence on where it is from.

    Without parts all images are split 60/20/20; where those for validation are missing, a fifth of training becomes
    them; where those for test are missing, those for validation are the test.

    Args:
        parts: of each image as files say it, if they do.
        ids: of the images, by which they are drawn.
        strata: a label of each image, whose shares are the same in all parts.
        seed: of what is drawn.

    Raises:
        UserError: nothing is for training, or for neither validation nor test.
    """
    if parts is None:
        return _seeded(ids, strata, seed, (VAL, TEST)), f"split 60/20/20 by seed {seed}"
    made, sentence = list(parts), "split as its files say"
    there = Counter(made)
    if not there[TRAIN] or not (there[VAL] or there[TEST]):
        missing = "training" if not there[TRAIN] else "test or validation"
        raise UserError(f"No image is for {missing}: name them train, val and test, or give no split at all.")
    if not there[TEST]:
        made = [TEST if part == VAL else part for part in made]
        sentence += "; without a test split, that for validation is the test"
    if VAL not in made:
        inside = [k for k, part in enumerate(made) if part == TRAIN]
        drawn = _seeded([ids[k] for k in inside], [strata[k] for k in inside], seed, (VAL,))
        for k, part in zip(inside, drawn, strict=True):
            made[k] = part
        sentence += f"; a fifth of training, by seed {seed}, is for validation"
    if there[""]:
        sentence += f"; {there['']:,} images in no split are left out"
    return made, sentence


def _seeded(ids: Sequence[str], strata: Sequence[str], seed: int, wanted: Sequence[str]) -> list[str]:
    """Draw a fifth of each stratum for each of the *wanted* parts, the rest for training.

    In a stratum images are ordered by SHA-256 of seed and id, so that neither the order of files, nor other strata,
    nor a generator has a say; shares are whole numbers, rounded to the nearest, one at least as long as one is left
    for training.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for k, stratum in enumerate(strata):
        members[stratum].append(k)
    made = [TRAIN] * len(ids)
    for found in members.values():
        ordered = sorted(found, key=lambda k: hashlib.sha256(f"{seed}:{ids[k]}".encode()).digest())
        share = max((FIFTH * len(found) + 50) // 100, 1)
        for part in reversed(wanted):  # of two images one is for test, and none for validation
            taken, ordered = ordered[: min(share, len(ordered) - 1)], ordered[min(share, len(ordered) - 1) :]
            for k in taken:
                made[k] = part
    return made
