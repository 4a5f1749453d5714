"""States of files, by which those that have not changed are known.

Importing this module imports nothing but the standard library; run as a program it looks for files on its own.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

SETTLED_NS: Final = 2_000_000_000


def state_of(path: Path | str) -> list[int] | None:
    """Return what changes whenever a file is written to: size, inode and times.

    The time of change cannot be set by a program, as that of modification can.

    Returns:
        ``None`` where the file has just been written: within a tick of the clock it may change again unnoticed.

    Raises:
        OSError: there is none.
    """
    return _settled(_state(path), time.time_ns())


def _state(path: Path | str) -> list[int]:
    found = os.stat(path)
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _settled(state: list[int], now: int) -> list[int] | None:
    return state if max(state[2:]) < now - SETTLED_NS else None


def walk(
    root: Path | str, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield what :func:`os.walk` does; links to folders are followed, and a folder is entered once, however many lead
    there.  One to what *root* itself lies in, such as ``/``, is not, as it would lead to all that is there."""
    seen: set[tuple[int, int]] = set()
    above = {str(folder) for folder in Path(os.path.realpath(root)).parents}
    for place, folders, files in os.walk(root, onerror=onerror, followlinks=True):
        found = os.stat(place)
        if (found.st_dev, found.st_ino) in seen:  # by another link, or a circle
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        # Sorted, so that the same of several links leads there everywhere.
        folders[:] = sorted(each for each in folders if not _leads_to(os.path.join(place, each), above))
        yield place, folders, files


def _leads_to(path: str, folders: Container[str]) -> bool:
    """Whether a path is a link to one of *folders*."""
    return os.path.islink(path) and os.path.realpath(path) in folders


class Listing:
    """All files of one name below a folder, and the states of the files beside them.

    Another process looks for them, from now on: with many thousands it takes as long as this one's next imports.

    Args:
        root: the folder.
        name: of the files.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._asked = str(root), name
        command = [sys.executable, "-I", "-S", __file__, *self._asked]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    @cached_property
    def _found(self) -> tuple[int, dict[str, list[int]]]:
        output, _ = self._process.communicate()
        return marshal.loads(output) if self._process.returncode == 0 else _list(*self._asked)

    @property
    def files(self) -> list[str]:
        """The files, sorted."""
        _, name = self._asked
        return sorted(path for path in self._found[1] if path.endswith(os.sep + name))

    def state(self, path: str) -> list[int] | None:
        """Return :func:`state_of` a file as it was when it was listed.

        Raises:
            OSError: it was not listed, and there is none.
        """
        now, states = self._found
        return _settled(states[path], now) if path in states else state_of(path)


def _list(root: str, name: str) -> tuple[int, dict[str, list[int]]]:
    """Return when the first state was taken, and the states of the files in all folders that hold such a file."""
    now = time.time_ns()
    found = {}
    for place, _, files in walk(root):
        for path in [os.path.join(place, file) for file in files] if name in files else ():
            try:
                found[path] = _state(path)
            except OSError:  # a link to nowhere, or it was deleted; a record, whoever reads it will say so
                if path.endswith(os.sep + name):
                    found[path] = [0, 0, now, now]
    return now, found


if __name__ == "__main__":
    sys.stdout.buffer.write(marshal.dumps(_list(*sys.argv[1:])))
