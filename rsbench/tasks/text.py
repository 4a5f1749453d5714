"""Words and their numbers, for captions and questions alike."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

PAD: Final = 0
START: Final = 1
END: Final = 2
UNKNOWN: Final = 3
SPECIAL: Final = ("<pad>", "<start>", "<end>", "<unk>")
JOINERS: Final = "\u200c\u200d"  # without width, between letters of Persian or Hindi


def words(text: str) -> list[str]:
    """Split a text into lower-case words; punctuation separates and is dropped, inner hyphens and apostrophes stay.

    Combining marks belong to the letter before them: accents, and vowels of Hindi, Thai or Hebrew.
    """
    text = text.lower()
    if text.isascii():
        return _pattern("").findall(text)
    marks = {c for c in text if not c.isalnum() and (unicodedata.category(c) in ("Mn", "Mc") or c in JOINERS)}
    return _pattern("".join(sorted(marks))).findall(text)


@lru_cache
def _pattern(marks: str) -> re.Pattern[str]:
    letter = rf"[^\W_](?:[^\W_]|[{marks}])*" if marks else r"[^\W_]+"
    return re.compile(rf"{letter}(?:['-]{letter})*")


@dataclass(frozen=True)
class Vocabulary:
    """Words in the order of their numbers; the first four are :data:`SPECIAL`."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], min_count: int = 1) -> Vocabulary:
        """Collect the words that occur at least ``min_count`` times, most frequent first, equals in alphabetical order.

        The texts must be those of the training split alone.
        """
        counts = Counter(word for text in texts for word in words(text))
        kept = sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))
        return cls((*SPECIAL, *kept))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Sequence[str], max_words: int, *, marks: bool) -> np.ndarray:
        """Return int64 [N, T], padded to the right and cut to the longest text.

        Args:
            max_words: longer texts lose their end.
            marks: put :data:`START` before and :data:`END` after each text; without them, a text without words becomes
                one :data:`UNKNOWN`.
        """
        number = {word: k for k, word in enumerate(self.words)}
        rows = []
        for text in texts:
            row = [number.get(word, UNKNOWN) for word in words(text)[:max_words]]
            rows.append([START, *row, END] if marks else row or [UNKNOWN])
        table = np.full((len(rows), max(map(len, rows), default=1)), PAD, dtype=np.int64)
        for k, row in enumerate(rows):
            table[k, : len(row)] = row
        return table

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the words up to :data:`END`, without the other special tokens."""
        said = []
        for token in tokens:
            if token == END:
                break
            if token not in (PAD, START):
                said.append(self.words[token])
        return " ".join(said)
