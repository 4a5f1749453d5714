"""Notices ranks that hang: processes that no longer answer, and runs in which nothing goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from rsbench.engine.distributed_rank import Rank

SILENCE_SECONDS: Final = 6.0  # without a sign of life; one is due every second
STALL_SECONDS: Final = 60.0  # without an event of a run: longer than most steps, validations and compilations


class Watch:
    """Watches over *ranks* of *world*; each trouble is named once."""

    def __init__(self, ranks: Sequence[Rank], world: int) -> None:
        self.ranks, self.world = ranks, world
        self._silent: set[int] = set()
        self._stalled = False
        self._progress = time.monotonic()

    def progressed(self) -> None:
        """Take note of an event of the run."""
        self._progress, self._stalled = time.monotonic(), False

    @property
    def hangs(self) -> bool:
        """Whether a rank does not answer."""
        return bool(self._silent)

    def look(self) -> Iterator[str]:
        """Yield a sentence for each trouble that is new."""
        now = time.monotonic()
        silent = {r.place.rank for r in self.ranks if not r.gone and now - r.heard > SILENCE_SECONDS}
        for rank in sorted(silent - self._silent):
            yield f"Rank {rank} of {self.world} has not answered for {SILENCE_SECONDS:.0f} s: it hangs or is stopped."
        self._silent = silent
        if now - self._progress > STALL_SECONDS and not self._stalled:
            self._stalled = True
            places = ", ".join(f"rank {r.place.rank} is at {r.at}" for r in self.ranks if not r.gone)
            yield f"Nothing was heard of the run for {STALL_SECONDS:.0f} s: {places}."
