"""Files that are there whole or not at all, whatever ends the process that writes them.

Importing this module imports nothing but the standard library.
"""

from __future__ import annotations

import errno
import glob
import itertools
import os
import platform
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

TEMPORARY: Final = re.compile(r"\..+\.(?P<node>[^.]*)-(?P<pid>\d+)-\d+\.tmp")
ABANDONED_SECONDS: Final = 3600.0
_numbers = itertools.count()  # for threads that write the same file at once


def write_atomically(path: Path, content: str | bytes | Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
    """Write a file, and its folders, so that *path* holds all of *content* or what it held before.

    A symbolic link is followed.  What is no regular file, such as a pipe that is being read, is written to as it is.

    Args:
        content: text (UTF-8), bytes, or a function that writes to the stream it is called with.
        durable: wait for the disk; not for what can be made again, and is checked by its digest when it is read.

    Raises:
        OSError: the disk is full, the folder cannot be written to, or nobody reads the pipe; it names *path*.  No
            temporary file stays behind.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        with _special(path) as stream:
            _write(stream, content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, glob.escape(path.name))
    temporary = path.with_name(f".{path.name}.{_node()}-{os.getpid()}-{next(_numbers)}.tmp")
    try:
        with temporary.open("wb") as stream:
            _write(stream, content)
        if durable:
            publish(temporary, path)
        else:
            temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:  # a full disk tells no name
            error.filename, error.filename2 = str(path), None
        raise


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file in the same folder the name *path*; it is on the disk before the name is."""
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what :func:`abandoned` finds in *folder*, of the file *name*."""
    for path in abandoned(folder, name):
        with suppress(OSError):  # another process sweeps as well, or the folder is only to be read
            path.unlink(missing_ok=True)


def abandoned(folder: Path, name: str = "*") -> Iterator[Path]:
    """Yield what processes that were killed in :func:`write_atomically` have left in *folder*, of the file *name*.

    Whether a process of another machine lives is not known here, and in containers their numbers are used again: what
    nobody has written to for an hour counts, whoever has begun it.
    """
    for path in folder.glob(f".{name}.*.tmp"):
        if found := TEMPORARY.fullmatch(path.name):
            with suppress(OSError):
                ended = found["node"] == _node() and not _is_alive(int(found["pid"]))
                if ended or path.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                    yield path


def regular(path: Path, most: int | None = None, *, links: bool = True) -> Path:
    """Return *path*, so that it can be opened: one of a pipe may wait for ever, and a device may have no end.

    What lies in a run's folder or beside prepared data, and what a user hands in, is opened through this.

    Args:
        most: bytes that it may have.
        links: whether a link out of its folder will do; what is written through one is lost elsewhere.

    Raises:
        OSError: there is none, or it is larger, or it is no regular file; it names *path*.
    """
    inside = links or Path(os.path.realpath(path)).parent == Path(os.path.realpath(path.parent))
    if not inside or not stat.S_ISREG((state := path.stat()).st_mode):
        raise OSError(
            errno.EINVAL, f"this is no {'' if links else 'plain '}file: move away what is in its place", str(path)
        )
    if most is not None and state.st_size > most:
        raise OSError(errno.EFBIG, f"it has {state.st_size:,} bytes, {most:,} at most are read", str(path))
    return path


def _write(stream: IO[bytes], content: str | bytes | Callable[[IO[bytes]], object]) -> None:
    if callable(content):
        content(stream)
    else:
        stream.write(content.encode() if isinstance(content, str) else content)


def _special(path: Path) -> IO[bytes]:
    """Open what is no regular file; one of a pipe without a reader would wait for one."""
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


def _sync(path: Path) -> None:
    if os.name != "posix":  # a folder cannot be opened elsewhere
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _node() -> str:
    """This machine's name without dots: nodes of a cluster share folders, but not process ids."""
    return platform.node().partition(".")[0]


def _is_alive(pid: int) -> bool:
    if os.name != "posix":  # there, signal 0 would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True
