"""Few labels: a part of the training and validation split, the same for all who ask with the same seed.

Parts are nested: with one seed, 5 images a class are among 10, and a tenth of the images is in a fifth of them.  The
test split stays whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rsbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from rsbench.data.store import PreparedStore


def asked(fraction: float | None, shots: int | None) -> dict[str, Any] | None:
    """Return what a plan says of its labels; ``None`` for all of them.

    Raises:
        UserError: both are given, or one is out of range.
    """
    if fraction is not None and shots is not None:
        raise UserError("Give either --train-fraction or --shots, not both.")
    if fraction is not None and not 0 < fraction <= 1:
        raise UserError(f"--train-fraction {fraction:g} must lie above 0 and be at most 1.")
    if shots is not None and shots < 1:
        raise UserError(f"--shots {shots} must be at least 1.")
    if fraction is not None:
        return {"fraction": float(fraction)} if fraction < 1 else None
    return None if shots is None else {"shots": shots}


def named(labels: Mapping[str, Any]) -> str:
    """Return what a protocol with so many labels adds to its name: ``+shots5``, ``+fraction0.1``."""
    ((kind, value),) = labels.items()
    return f"+{kind}{value:g}"


def reduced(store: PreparedStore, samples: np.ndarray, labels: Mapping[str, Any], seed: int) -> np.ndarray:
    """Return a part of the samples int64 [n] of a split, with all samples of the images that are taken.

    Of each class (of all images where they have none) those come first whose SHA-256 of (seed, image id) is smallest;
    each class keeps one at least.

    Args:
        store: of the dataset.
        samples: of training, or of validation.
        labels: ``{"fraction": .1}`` of the images of a class, or ``{"shots": 5}``, which takes what there is of a class
            that has fewer.
        seed: of the order.

    Raises:
        UserError: shots are asked for, and images have no classes.
    """
    import numpy as np  # here, since planning needs it only where labels are few

    if not len(samples):
        return samples
    images, first = np.unique(store.image_index[samples], return_index=True)
    if "label" in store.columns:
        classes = store.labels[samples[first]]
    elif "shots" in labels:
        raise UserError("--shots counts the images of a class, and these have none: use --train-fraction.")
    else:
        classes = np.zeros(len(images), dtype=np.int64)
    keys = np.array([hashlib.sha256(f"{seed}:{store.image_ids[i]}".encode()).hexdigest() for i in images])
    taken = []
    for label in np.unique(classes):
        members = images[classes == label]
        count = labels["shots"] if "shots" in labels else max(1, round(labels["fraction"] * len(members)))
        taken.append(members[np.argsort(keys[classes == label])][:count])
    return samples[np.isin(store.image_index[samples], np.concatenate(taken))]
