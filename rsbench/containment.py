"""The one door through which a plugin's code is called: what it does wrong is named with its distribution and goes no
further.

It may raise whatever it likes, print, hang, leave threads, and change what the whole process shares (directory, signal
handlers, torch's switches): each costs at most what was asked of it.  This file uses the standard library only.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from types import FrameType
from typing import Any, Final, NoReturn

from rsbench.errors import ENDING, Stopped, UserError
from rsbench.foreign import in_one_line

NOTICE_SECONDS: Final = 5.0  # until the terminal says who is being waited for
LIMIT_SECONDS: Final = 20.0  # until a call is ended
LIMIT_VARIABLE: Final = "RSBENCH_PLUGIN_SECONDS"
EXIT_SECONDS: Final = 5.0  # that threads and exit handlers of plugins may take once all is done
LAST_SECONDS: Final = 60.0  # and Python itself, after these
LARGEST_JSON: Final = 1 << 18  # characters
DEEPEST_JSON: Final = 20


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a spec or a hook comes from."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' (distribution '{self.distribution}')"


OWNERS: Final[dict[str, Origin]] = {}  # package -> the plugin by others that has named it, once plugins are loaded


def code_of(path: str) -> Origin:
    """Return whose code a module, or ``"module:attribute"``, is: the plugin that has its package."""
    package = path.partition(":")[0].partition(".")[0]
    if package in OWNERS:
        return OWNERS[package]
    for entry in metadata.entry_points(group="rsbench"):
        if entry.value.partition(":")[0].partition(".")[0] == package and entry.dist:
            return Origin(entry.name, entry.dist.name, entry.dist.version)
    distributions = metadata.packages_distributions().get(package) or ["unknown"]
    return Origin(package, distributions[0], "unknown")


class PluginError(UserError):
    """What a plugin did wrong, in a sentence that begins with its name.

    Attributes:
        text: the sentence without the name.
    """

    def __init__(self, origin: Origin, text: str) -> None:
        super().__init__(f"{origin}: {text}")
        self.origin, self.text = origin, text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.origin, self.text)


class PluginHung(PluginError):
    """It took too long."""


class Refused(Exception):
    """What a plugin's code gave is not what it is to give; the text goes on from what was called: "gave None, ..."."""


class _Overtime(BaseException):
    """Raised in a call that takes too long."""


class _Exited(BaseException):
    """Stands for the end of the process that a plugin asked for."""


_exit_handlers: Final[Callable[[], int]] = getattr(atexit, "_ncallbacks", int)  # CPython's count; 0 elsewhere
_lingering: list[str] = []  # what plugins have left that may keep this process from ending


@contextmanager
def contained(
    origin: Origin,
    what: str,
    *,
    limit: bool = True,
    quiet: bool = False,
    passing: tuple[type[BaseException], ...] = (),
) -> Iterator[list[str]]:
    """Call code of a plugin in this block, and only that.

    What the process shares is afterwards as it was; the list that is given holds one text for each thing that had to
    be put back or was printed.

    Args:
        origin: whose code it is, named in what is raised.
        what: is called, as in "rsbench_models raised ...".
        limit: end it after :data:`LIMIT_SECONDS`, or those of ``RSBENCH_PLUGIN_SECONDS``; in the main thread alone.
        quiet: what it prints is a fault and is kept from standard output, which may be read by a program.
        passing: errors that say something to who calls.

    Raises:
        PluginError: it raised an error of any kind, also one to end the process, took too long, or gave what is
            :class:`Refused` in this block.
        UserError: as it was raised, for the user; so are those of *passing*.
    """
    faults: list[str] = []
    through: tuple[type[BaseException], ...] = (UserError, Stopped, *passing)
    try:
        with ExitStack() as stack:
            stack.enter_context(same_process(what, faults))
            stack.enter_context(_no_threads_left(origin, what, faults))
            if quiet:
                stack.enter_context(_no_exit())
                stack.enter_context(_nothing_printed(what, faults))
            if limit:
                stack.enter_context(_no_hanging(origin, what))
            stack.enter_context(_same_functions(what, faults))  # which the others call as they end
            yield faults
    except through:
        raise
    except _Overtime:
        text = f"{what} took longer than {_limit():g} s and was ended; {LIMIT_VARIABLE} gives it more"
        raise PluginHung(origin, text) from None
    except Refused as error:
        raise PluginError(origin, f"{what} {error}") from None
    except _Exited as end:
        raise PluginError(origin, f"{what} called os._exit({end})") from None
    except BaseException as error:
        if is_the_users(error):
            raise
        raise PluginError(origin, f"{what} raised {described(error)}") from error


def described(error: BaseException) -> str:
    """Return an error in one line: its type and its text, if it has one that can be told."""
    try:
        text = in_one_line(str(error))
    except BaseException:
        text = "(its text cannot be told)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def as_json(value: Any) -> Any:
    """Return what a plugin gave for a record as plain data, read back from JSON.

    Raises:
        ValueError: JSON cannot hold it, or it is too large or too deep for a record.
    """
    text = json.dumps(value, allow_nan=False)
    if len(text) > LARGEST_JSON:
        raise ValueError(f"{len(text):,} characters of JSON are too many for a record")
    plain = json.loads(text)
    if _depth(plain) > DEEPEST_JSON:
        raise ValueError("it is nested too deeply for a record")
    return plain


def end_in_time(code: int) -> None:
    """See to it that the process ends with *code*, although a plugin has left threads or exit handlers that do not."""
    if not _lingering or not _can_limit():
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        for text in _lingering:
            print(f"rsbench: {text}; it is not waited for.", file=sys.stderr)
        sys.stderr.flush()
        os._exit(code)

    signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, EXIT_SECONDS)


@atexit.register
def _prolong() -> None:
    """Give Python time for its own end, in which :func:`end_in_time` would be the signal's and the code another.

    This is registered before any plugin is imported, so what plugins have registered is over.
    """
    if _can_limit() and signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def is_the_users(error: BaseException) -> bool:
    """Whether an error is no plugin's: the user stops the program, also by Ctrl-C where that is left to Python."""
    by_python = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, Stopped) or (isinstance(error, KeyboardInterrupt) and by_python)


# What the whole process shares


@dataclass(frozen=True, slots=True)
class _Setting:
    """Something that a plugin may not change; *new*: its value where torch has only just been imported."""

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], object]
    new: Any = None


_OF_PYTHON: Final = (
    _Setting("the working directory", os.getcwd, os.chdir),
    _Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
)


def _settings() -> tuple[_Setting, ...]:
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "are_deterministic_algorithms_enabled"):  # nor while it is being imported
        return _OF_PYTHON
    return (
        *_OF_PYTHON,
        _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        _Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled, True),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting(
            "torch's deterministic mode",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
            False,
        ),
    )


# What results and their files rest on, by module; a plugin that replaces one for itself replaces it for all.
FUNCTIONS: Final[dict[str, tuple[str, ...]]] = {
    "builtins": ("open", "print", "sorted", "sum"),
    "hashlib": ("file_digest", "sha256"),
    "io": ("open",),
    "json": ("dump", "dumps", "load", "loads"),
    "os": ("dup2", "fsync", "getcwd", "kill", "open", "rename", "replace", "stat", "unlink"),
    "random": ("random", "seed"),
    "signal": ("getsignal", "setitimer", "signal"),
    "time": ("monotonic", "perf_counter", "process_time", "sleep", "time"),
}


@contextmanager
def _same_functions(what: str, faults: list[str]) -> Iterator[None]:
    """Put functions of the standard library back in their places; a module that is loaded in here is not looked at."""
    modules = [(module, names) for key, names in FUNCTIONS.items() if (module := sys.modules.get(key))]
    before = [(module, name, getattr(module, name, None)) for module, names in modules for name in names]
    try:
        yield
    finally:
        for module, name, function in before:
            if getattr(module, name, None) is not function:
                setattr(module, name, function)
                faults.append(f"{what} replaced {module.__name__}.{name}")


@contextmanager
def same_process(what: str, faults: list[str]) -> Iterator[None]:
    """Put back directory, limits, streams, signal handlers, functions of the standard library and torch's switches;
    *faults* names what was changed."""
    with _same_settings(what, faults), _same_functions(what, faults):
        yield


@contextmanager
def _same_settings(what: str, faults: list[str]) -> Iterator[None]:
    before = {}
    for setting in _settings():
        with suppress(OSError):  # the directory may be gone
            before[setting.name] = setting.get()
    handlers = {number: signal.getsignal(number) for number in ENDING} if _can_limit() else {}
    streams = sys.stdout, sys.stderr
    try:
        yield
    finally:
        if (sys.stdout, sys.stderr) != streams or any(stream is not None and stream.closed for stream in streams):
            faults.append(f"{what} closed or replaced sys.stdout or sys.stderr")
        sys.stdout, sys.stderr = (_open(stream, k) for k, stream in enumerate(streams, start=1))
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
                faults.append(f"{what} changed the handler of {signal.Signals(number).name}")
        for setting in _settings():
            old = before.get(setting.name, setting.new)
            if old is not None and _value(setting) != old:
                with suppress(OSError):
                    setting.set(old)
                faults.append(f"{what} changed {setting.name}")


def _open(stream: Any, descriptor: int) -> Any:
    closed = stream is not None and stream.closed
    return io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), line_buffering=True) if closed else stream


def _value(setting: _Setting) -> Any:
    try:
        return setting.get()
    except OSError:
        return None


@contextmanager
def _no_threads_left(origin: Origin, what: str, faults: list[str]) -> Iterator[None]:
    """Name threads and exit handlers that would keep the process from ending."""
    threads, handlers = {*threading.enumerate()}, _exit_handlers()
    try:
        yield
    finally:
        for thread in {*threading.enumerate()} - threads:
            if not thread.daemon:
                faults.append(f"{what} left thread '{in_one_line(thread.name)}' running")
                _lingering.append(f"{origin}: {faults[-1]}")
        if _exit_handlers() > handlers:
            _lingering.append(f"{origin}: {what} registered an exit handler")


# Time


def _can_limit() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _limit() -> float:
    try:
        return max(1.0, float(os.environ.get(LIMIT_VARIABLE, LIMIT_SECONDS)))
    except ValueError:
        return LIMIT_SECONDS


@contextmanager
def _no_hanging(origin: Origin, what: str) -> Iterator[None]:
    """Say after a while who is being waited for, and end the call after a longer one; a timer that runs goes on."""
    if not _can_limit():
        yield
        return
    begin, limit, said = time.monotonic(), _limit(), list[bool]()

    def ring(number: int, frame: FrameType | None) -> None:
        passed = time.monotonic() - begin
        if passed >= limit:
            signal.setitimer(signal.ITIMER_REAL, 0)  # a second time might meet what cleans up after the first
            raise _Overtime
        if not said:
            said.append(True)
            out = f"-p no:{origin.plugin} leaves it out"
            print(f"rsbench: waiting for {origin}: {what} has taken {passed:.0f} s; {out}.", file=sys.stderr)

    handler = signal.signal(signal.SIGALRM, ring)
    left, every = signal.setitimer(signal.ITIMER_REAL, min(NOTICE_SECONDS, limit), 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - begin)), every)


# Standard output, and the end of the process


@contextmanager
def _nothing_printed(what: str, faults: list[str]) -> Iterator[None]:
    """Keep standard output as it is, that of C libraries too."""
    _flush()
    try:
        kept, caught = os.dup(1), _unnamed_file()
        os.dup2(caught, 1)
    except OSError:  # there is none
        yield
        return
    try:
        yield
    finally:
        _flush()
        if not _is_open(1):
            faults.append(f"{what} closed standard output")
        os.dup2(kept, 1)
        length = os.lseek(caught, 0, os.SEEK_END)
        if length:
            text = in_one_line(os.pread(caught, 1000, 0).decode(errors="replace"))
            faults.append(f"{what} printed '{text}'")
        os.close(kept)
        os.close(caught)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rsbench")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()


@contextmanager
def _no_exit() -> Iterator[None]:
    """Let nothing end the process; those that are forked meanwhile, and a run's workers, end as they like."""
    processes = sys.modules.get("multiprocessing.process")  # which each child of that package has loaded
    if (processes and processes.parent_process() is not None) or not _can_limit():
        yield
        return
    leave, pid, thread = os._exit, os.getpid(), threading.current_thread()

    def refuse(status: int) -> NoReturn:
        if os.getpid() == pid and threading.current_thread() is thread:
            raise _Exited(status)
        leave(status)

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = leave
