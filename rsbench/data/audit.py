"""What a split gives away: images, sentences and questions that training and test share."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from rsbench.data.splits import Split
from rsbench.data.store import PreparedStore


def audit(store: PreparedStore, split: Split) -> dict[str, Any]:
    """Return sizes and, for what the samples have, how much of the test split also occurs in training.

    ``identical_images`` counts test images whose pixels equal those of a training image.  ``sentences`` and
    ``questions`` compare texts as they stand: ``test_in_train`` counts test texts that also occur in training,
    ``images_all_in_train`` test images all of whose sentences do.
    """
    report: dict[str, Any] = {"sizes": split.sizes}
    if store.images.shape[-1] > 1:  # a single pixel stands for no image
        report["identical_images"] = _identical(store, split)
    if "label" in store.columns and store.manifest["classes"]:
        report["classes"] = _class_counts(store, split)
    if "sentences" in store.columns:
        report["sentences"] = _sentences(store.columns["sentences"], split)
    if "question" in store.columns:
        report["questions"] = _questions(store, split)
    return report


def _class_counts(store: PreparedStore, split: Split) -> dict[str, dict[str, int]]:
    names = store.manifest["classes"]
    counts = {part: np.bincount(store.labels[getattr(split, part)], minlength=len(names)) for part in split.sizes}
    return {name: {part: int(found[k]) for part, found in counts.items()} for k, name in enumerate(names)}


def _identical(store: PreparedStore, split: Split) -> int:
    def digests(samples: np.ndarray) -> dict[int, bytes]:
        images = np.unique(store.image_index[samples])
        return {int(i): hashlib.blake2b(np.ascontiguousarray(store.images[i]).tobytes()).digest() for i in images}

    known = set(digests(split.train).values())
    return sum(digest in known for digest in digests(split.test).values())


def _sentences(sentences: Sequence[Sequence[str]], split: Split) -> dict[str, Any]:
    known = {text for i in split.train for text in sentences[i]}
    test = [sentences[i] for i in split.test]
    texts = [text for group in test for text in group]
    return {
        "train": sum(len(sentences[i]) for i in split.train),
        "train_distinct": len(known),
        "test": len(texts),
        "test_distinct": len(set(texts)),
        "test_in_train": sum(text in known for text in texts),
        "images_all_in_train": sum(all(text in known for text in group) for group in test),
        "images_one_sentence": sum(len(set(group)) == 1 for group in test),
    }


def _questions(store: PreparedStore, split: Split) -> dict[str, Any]:
    texts, labels = store.columns["question"], store.labels
    known: dict[str, Counter[int]] = {}
    for i in split.train:
        known.setdefault(texts[i], Counter())[int(labels[i])] += 1
    seen = [i for i in split.test if texts[i] in known]
    guessed = sum(known[texts[i]].most_common(1)[0][0] == labels[i] for i in seen)
    return {
        "train": len(split.train),
        "train_distinct": len(known),
        "test": len(split.test),
        "test_in_train": len(seen),
        "answered_by_most_frequent_answer": int(guessed),
    }


def sentences_of(report: dict[str, Any]) -> list[str]:
    """Return an audit as lines to read."""
    sizes = report["sizes"]
    lines = [f"{sizes['train']} training, {sizes['val']} validation and {sizes['test']} test samples"]
    if "identical_images" in report:
        lines.append(f"{report['identical_images']} test images have a duplicate in training, equal in every pixel")
    if (s := report.get("sentences")) is not None:
        lines.append(
            f"{s['test_in_train']} of {s['test']} test sentences ({s['test_in_train'] / max(s['test'], 1):.1%}) also "
            f"occur in training; of {s['images_all_in_train']} test images all sentences do"
        )
        lines.append(f"{s['images_one_sentence']} test images have one and the same sentence in all references")
        lines.append(f"{s['train_distinct']} of {s['train']} training sentences are distinct")
    if (q := report.get("questions")) is not None:
        lines.append(
            f"{q['test_in_train']} of {q['test']} test questions are asked in training in the same words; the "
            f"most frequent answer there is right for {q['answered_by_most_frequent_answer']} of them"
        )
    return lines
