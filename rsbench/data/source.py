"""The contract between a dataset plugin and the core: where samples come from.

A plugin's ``DatasetSpec.source`` names ``source(root, spec) -> Source``.  Everything else (parallel decoding, locking,
resuming, atomic writing, hashing) is done by ``rsbench.data.prepare``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class SampleError(ValueError):
    """A sample that cannot be read; the message names its file and what is wrong with it."""


class Source(Protocol):
    """Images of one size and type, in a stable order.

    A source is pickled to worker processes, so it holds paths and names, not open files; it opens what it needs on
    first use.

    Attributes:
        shape: (channels, height, width) of every image.
        dtype: NumPy name of the stored type: ``"uint8"``, ``"uint16"``, ``"int16"`` or ``"float32"``.
        image_ids: one stable, unique name per image.
        columns: per *sample* columns of equal length.  Classification needs ``"id"`` (unique names) and ``"label"``
            (class indices); other columns (``"official_split"``, ``"group"``) are for splits.  ``"image"`` (index
            into ``image_ids``) is needed only where samples share images; without it sample i is image i.  Captioning
            needs ``"sentences"`` (a list of them for each sample).  VQA, where a sample is a question, needs
            ``"question"`` (text), ``"kind"`` (name of its type), ``"label"`` (answer) and ``"count"`` (number or None).
        classes: class names in label order (VQA: the answers), or empty where the task has none.
        question_types: names of the types of questions (VQA only; others may leave the attribute out).
        tasks: those that the samples are for, where the spec names no default protocol; may be left out.
        notes: sentences, without a full stop, on how files were taken; may be left out.
    """

    shape: tuple[int, int, int]
    dtype: str
    image_ids: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    classes: Sequence[str]

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Decode images ``start`` to ``stop`` into ``out`` [stop - start, C, H, W].

        Raises:
            SampleError: a file is missing, truncated or of another size.
        """
