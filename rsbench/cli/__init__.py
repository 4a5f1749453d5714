"""The command line.  A command's own imports happen when it is called, so that ``--help`` imports nothing heavy."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import warnings
from itertools import pairwise
from types import FrameType
from typing import Any, Final, NoReturn

LONGEST: Final = 160  # letters of a path in a sentence
STORAGE_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
LIMITS: Final = {errno.EMFILE: "-n", errno.EFBIG: "-f"}


def main() -> NoReturn:
    """Entry point of the console script: 0 fine, 1 a run failed, 2 a usage error, 130 and 143 interrupted."""
    code = 1
    try:
        _main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    finally:
        from rsbench.containment import end_in_time

        end_in_time(code)
        gc.freeze()  # what is left ends with the process: at exit the collector would walk over all of it, twice
    sys.exit(code)


def _main() -> None:
    from rsbench.errors import Stopped, UserError

    try:
        heed_signals()
        _command()
    except UserError as error:
        if "--debug" in sys.argv:
            raise
        for line in str(error).splitlines():
            print(f"rsbench: {line}", file=sys.stderr)
        sys.exit(2)
    except (OSError, UnicodeEncodeError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"rsbench: {_sentence(error)}", file=sys.stderr)
        sys.exit(2)
    except Stopped as stopped:
        print("rsbench: interrupted.", file=sys.stderr)
        sys.exit(128 + stopped.number)


def _command() -> None:
    from rsbench import renamed

    warnings.showwarning = _show_warning
    block_plugins(sys.argv[1:])
    from rsbench.cli import bash
    from rsbench.cli.app import build
    from rsbench.cli.lazy import chosen_command

    if bash.completing():
        bash.complete(build())
    command = chosen_command(sys.argv[1:])
    sys.argv[1:] = renamed.arguments(sys.argv[1:], command)
    build(command)()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Show a hint in the words of the command line, and who wrote the old name where it stands in a file."""
    from rsbench.renamed import OldName

    del file, line
    if not issubclass(category, OldName):
        print(warnings.formatwarning(message, category, filename, lineno), end="", file=sys.stderr)
        return
    where = "" if filename == __file__ else f" ({filename}, line {lineno})"
    print(f"rsbench: {message}{where}", file=sys.stderr)


def _sentence(error: OSError | UnicodeEncodeError) -> str:
    """Say what the system, or the encoding of the output, does not allow."""
    if isinstance(error, UnicodeEncodeError):
        letter = error.object[error.start]
        return f"{letter!a} cannot be written in {error.encoding}; set PYTHONIOENCODING=utf-8 or write to a file."
    where = f" '{_shortened(str(error.filename))}'" if error.filename else ""
    said = error.strerror or str(error)
    if error.errno in STORAGE_ERRORS:
        return f"cannot write{where}: {said}; make room or choose another --out."
    if error.errno in LIMITS:
        return f"cannot use{where}: {said}; allow more by ulimit {LIMITS[error.errno]}."
    return f"cannot use{where}: {said}."


def _shortened(path: str) -> str:
    """Return a path with the middle left out where it is long."""
    return path if len(path) <= LONGEST else f"{path[: LONGEST // 2]}...{path[-LONGEST // 2 :]}"


def heed_signals() -> None:
    """Raise :class:`rsbench.errors.Stopped` at signals that ask for an end, where these are not ignored."""
    from rsbench.errors import ENDING, Stopped

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        raise Stopped(number)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def block_plugins(arguments: list[str]) -> None:
    """Put the names of ``-p no:NAME`` into the environment, before any plugin is loaded; workers inherit it."""
    from rsbench import renamed
    from rsbench.registry import BLOCK_VARIABLE

    names = [b for a, b in pairwise(arguments) if a == "-p"]
    names += [a[2:] for a in arguments if a.startswith("-pno:")]
    blocked = [renamed.current(renamed.PLUGIN, n[3:], depth=0) for n in names if n.startswith("no:")]
    if blocked:
        os.environ[BLOCK_VARIABLE] = ",".join([*filter(None, [os.environ.get(BLOCK_VARIABLE)]), *blocked])
