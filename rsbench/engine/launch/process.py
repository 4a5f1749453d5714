"""What every process of a run does, worker or rank: heeds signals, ends with its parent, prints to a file, leaves."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

ORPHAN_GRACE_SECONDS: Final = 30.0
THREAD_GRACE_SECONDS: Final = 5.0


class StopFlag:
    """Set by SIGINT or SIGTERM; a second SIGINT ends the process at once.

    SIGTERM does not count as the second: on Ctrl-C the terminal sends SIGINT and the parent SIGTERM.

    Attributes:
        signal: the number of the first, ``None`` where the flag is not set or was set without one.
    """

    def __init__(self) -> None:
        self.set, self.interrupts = False, 0
        self.signal: int | None = None
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.set and number == signal.SIGINT and self.interrupts:
            os._exit(128 + number)
        self.interrupts += number == signal.SIGINT
        self.set, self.signal = True, self.signal or number

    def __call__(self) -> bool:
        """Whether the run is to stop."""
        return self.set


def exit_with_parent(stop: StopFlag, wait_for_its_end: Callable[[], object]) -> None:
    """Once the parent is gone, stop as at an interrupt, and end in any case after a grace."""

    def watch() -> None:
        wait_for_its_end()
        stop.set = True
        time.sleep(ORPHAN_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def redirect_output(path: Path) -> None:
    """Send stdout and stderr, those of C libraries too, to a file, and there the place in the code of a crash."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable(2)


def ending(exitcode: int | None, log: str) -> str:
    """Say how a process of a run ended that sent no result.

    Args:
        exitcode: as :mod:`multiprocessing` has it: below zero the number of a signal.
        log: name of the file to which it printed.
    """
    if exitcode == -signal.SIGKILL:
        return "was ended by SIGKILL (the system ran out of memory?)"
    if exitcode is None or exitcode >= 0:
        return f"ended with exit code {exitcode}; see {log} in the folder of the run"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:  # not all that are for real time have one
        name = f"signal {-exitcode}"
    return f"was ended by {name}; see {log} in the folder of the run"


def leave() -> NoReturn:
    """End the process, once what plugins have left running had a moment to end by itself.

    Python would wait for threads without a limit.
    """
    until = time.monotonic() + THREAD_GRACE_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                print(f"Thread '{thread.name}' was still running at the end and was cut off.", file=sys.stderr)
    for child in multiprocessing.active_children():
        child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
