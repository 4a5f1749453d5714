"""Supervises the rank processes of one run; reports which failed.

The process that does it never touches a device, so that no collective that waits for a lost rank can hold it.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

from rsbench.engine.events import Interrupted
from rsbench.engine.launch import rank_process
from rsbench.engine.launch.process import ending
from rsbench.engine.launch.rank_process import Rank
from rsbench.engine.parallel import world as distributed_world
from rsbench.engine.parallel.world import RankInfo
from rsbench.files import write_atomically
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record

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


@dataclass(frozen=True, slots=True)
class Board:
    """Notes of the launch *key* in *folder*, which all nodes see."""

    folder: Path
    key: str

    def put(self, name: str, value: Any) -> None:
        """Show a JSON-able value."""
        write_atomically(self._path(name), json.dumps(value))

    def get(self, name: str) -> Any:
        """Return the value that is shown, or ``None``."""
        try:
            return json.loads(self._path(name).read_text(encoding="utf-8"))
        except OSError:
            return None

    def all(self) -> dict[str, Any]:
        """Return the values of all notes by name."""
        start = f".note-{self.key}-"
        names = [path.name.removeprefix(start) for path in self.folder.glob(f"{glob.escape(start)}*")]
        return {name: self.get(name) for name in names}

    def clear(self, others: bool = False) -> None:
        """Take down all notes; with *others* only those of other launches."""
        for path in self.folder.glob(".note-*"):
            if not (others and path.name.startswith(f".note-{self.key}-")):
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f".note-{self.key}-{name}"


POLL_SECONDS: Final = 0.2
MEETING_SECONDS: Final = 600.0  # for rank 0 to come
SETTLE_SECONDS: Final = 5.0  # for ranks to say what went wrong, once one has failed
STOP_SECONDS: Final = 20.0  # for ranks to write their state, less than the parent gives to this process
AWAIT_SECONDS: Final = 10.0  # until ranks that have not come are named
LOST: Final = "RankLost"
EXPECTED: Final = ("RunError", "UserError")  # errors that all ranks raise alike

Error = dict[str, str]


class Supervisor:
    """Starts the ranks of one run that are this process's to start, and waits for their end.

    Args:
        plan: of the run.
        places: of the ranks that this process starts.
        emit: gets rank 0's events, and one ``rank`` event with rank and pid for each that was started.
        stop: whether the user wants an end; the ranks are told.
    """

    def __init__(
        self, plan: RunPlan, places: list[RankInfo], emit: Callable[[dict[str, Any]], None], stop: Callable[[], bool]
    ) -> None:
        self.plan, self.places, self.emit, self.stop = plan, places, emit, stop
        self.folder = Path(plan.out) / plan.run_id
        found = distributed_world.detect_launcher()
        self.board = Board(self.folder, found.key + distributed_world.token()) if found else None
        self.ranks: list[Rank] = []
        self.errors: list[tuple[int, Error]] = []  # rank and error, as they came
        self.watch = Watch(self.ranks, places[0].world)
        self._told = self._awaited = False
        self._said: set[str] = set()
        self._begin = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Run to the end and return the record; where rank 0 is elsewhere, its status and error are this rank's.

        Raises:
            Interrupted: the user stopped it; a state to resume from has been written.
        """
        try:
            places = self._meet()
            if not places and not self.errors:
                return store.load(self.folder) | {"path": str(self.folder / store.FILE)}
            for place in places:
                rank = rank_process.start(self.plan, place)
                self.ranks.append(rank)
                self.emit({"type": "rank", "rank": place.rank, "pid": rank.process.pid})
            self._look_after()
            self._ask_others()
        finally:
            self._end()
        stopped = [r.result["signal"] for r in self.ranks if r.result and r.result["status"] == "interrupted"]
        done = any(r.result and r.result["status"] == "done" for r in self.ranks)
        if not self.errors and (stopped or (self._told and not done)):
            if self._leads and self.board is not None:
                self.board.clear()
            raise Interrupted(max(filter(None, stopped), default=None))
        return self._conclude(time.monotonic() - self._begin)

    @property
    def _leads(self) -> bool:
        return self.places[0].rank == 0

    def _meet(self) -> list[RankInfo]:
        """Return the places with the port at which all ranks meet; none where rank 0 did not come, which is noted, or
        has found that the run is finished."""
        if self.board is None:
            return self.places
        if self._leads:
            self.board.clear(others=True)
            self.board.put("port", self.places[0].port)
            return self.places
        self.board.put(f"here-{self.places[0].rank}", True)
        until = time.monotonic() + MEETING_SECONDS
        while (port := self.board.get("port")) is None:
            if store.finished(self.folder):
                return []
            if self.stop():
                raise Interrupted
            if time.monotonic() > until:
                self._note(0, "did not come")
                return []
            time.sleep(POLL_SECONDS)
        return [replace(place, port=port) for place in self.places]

    def _look_after(self) -> None:
        """Listen until all ranks have ended, or for a while after one has failed or all were asked to end."""
        deadline: float | None = None
        while running := [r for r in self.ranks if not r.gone]:
            ready = wait([r.connection for r in running], POLL_SECONDS)
            for rank in running:
                if rank.connection in ready:
                    self._hear(rank)
            self._read_board()
            for text in self.watch.look():
                self._say(text)
            if deadline is None and (self.errors or any(r.result for r in self.ranks)):
                deadline = time.monotonic() + SETTLE_SECONDS
            if self.stop() and not self._told:
                self._told = True
                self._signal(signal.SIGTERM)
                deadline = time.monotonic() + (SETTLE_SECONDS if self.watch.hangs else STOP_SECONDS)
            if deadline is not None and time.monotonic() > deadline and not self._busy_leader():
                return

    def _say(self, text: str) -> None:
        """Warn; what others look after rank 0 they tell to it."""
        if self._leads:
            self.emit({"type": "warning", "text": text})
        elif self.board is not None:
            self.board.put(f"said-{self.places[0].rank}", text)

    def _busy_leader(self) -> bool:
        """Whether rank 0 is still at work, with nothing wrong: it alone scores and writes."""
        return not self.errors and not self._told and any(r.place.rank == 0 and not r.gone for r in self.ranks)

    def _hear(self, rank: Rank) -> None:
        event = rank.receive()
        if event is not None:
            if event["type"] != "alive":
                self.watch.progressed()
                self.emit(event)
        elif rank.result is None:
            log = distributed_world.log_name(rank.place.rank)
            self._note(rank.place.rank, ending(rank.process.exitcode, log))
        elif error := rank.result.get("record", {}).get("error"):
            self._take(rank.place.rank, error)

    def _note(self, rank: int, what: str) -> None:
        message = f"Rank {rank} of {self.places[0].world} {what}."
        self._take(rank, {"stage": "process", "type": LOST, "message": message})

    def _take(self, rank: int, error: Error) -> None:
        self.errors.append((rank, error))
        if self.board is not None:
            self.board.put(f"error-{rank}", error)

    def _read_board(self) -> None:
        """Take note of ranks in trouble that others look after: rank 0 hears of all, they hear of rank 0."""
        if self.board is None:
            return
        notes = self.board.all()
        known = {rank for rank, _ in self.errors} | {place.rank for place in self.places}
        for rank in set(range(self.places[0].world if self._leads else 1)) - known:
            if error := notes.get(f"error-{rank}"):
                self.errors.append((rank, error))
                if self._leads:  # the others would wait in a collective of GPUs, which does not notice that one is lost
                    self.board.put("error-0", error)
        if self._leads:
            self._hear_others(notes)

    def _hear_others(self, notes: Mapping[str, Any]) -> None:
        """Pass on what is said of ranks that others look after, and say which have not come."""
        world, own = self.places[0].world, {place.rank for place in self.places}
        for text in [notes[name] for name in notes if name.startswith("said-")]:
            if text not in self._said:
                self._said.add(text)
                self._say(text)
        if not self._awaited and time.monotonic() - self._begin > AWAIT_SECONDS:
            self._awaited = True
            if missing := [str(n) for n in range(world) if n not in own and f"here-{n}" not in notes]:
                self._say(f"Rank {', '.join(missing)} of {world} did not come yet: was a process started for each?")

    def _ask_others(self) -> None:
        """Wait a while for word of a lost rank, where an error may be no more than what follows from that."""
        until = time.monotonic() + SETTLE_SECONDS
        while self.board is not None and self.errors and time.monotonic() < until:
            if any(error["type"] in (LOST, *EXPECTED) for _, error in self.errors):
                return
            time.sleep(POLL_SECONDS)
            self._read_board()

    def _signal(self, number: signal.Signals) -> None:
        for rank in self.ranks:
            if rank.process.pid is not None and rank.process.is_alive():
                os.kill(rank.process.pid, number)

    def _end(self) -> None:
        """Let no rank outlive this."""
        until = time.monotonic() + SETTLE_SECONDS
        for rank in self.ranks:
            rank.process.join(max(0.0, until - time.monotonic()) if rank.result else 0.0)
        self._signal(signal.SIGKILL)
        for rank in self.ranks:
            rank.process.join()
            rank.connection.close()

    def _conclude(self, seconds: float) -> dict[str, Any]:
        """Return rank 0's record, or write that of the failure."""
        own = next((r.result["record"] for r in self.ranks if r.result), None)
        if own is not None and own["status"] == "ok":
            if self._leads and self.board is not None:
                self.board.clear()
            return own
        record = {k: v for k, v in (own or {}).items() if k != "path"}
        record = record or blank_record(self.plan.run_id, self.plan.public_dict())
        record["error"] = self._cause()
        record["timing"] = record["timing"] or {"total": seconds}
        path = self.folder / store.FILE
        if self._leads:
            from rsbench.engine.run.observers import Observers

            store.save(record, self.folder)
            record["checks"] += Observers(self.emit).end(self.plan, record, self.folder)
        return record | {"path": str(path)}

    def _cause(self) -> Error:
        """Return the error from which the others follow: a lost rank's, else the first that came."""
        rank, error = next(((n, e) for n, e in self.errors if e["type"] == LOST), self.errors[0])
        if rank == 0 or error["type"] in (LOST, *EXPECTED):
            return error
        return error | {"message": f"Rank {rank}: {error['message']}"}
