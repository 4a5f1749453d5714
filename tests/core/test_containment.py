"""What a plugin's code does wrong is named with its distribution, put back, and ends nothing but itself."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import io
import json
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest
import torch

from rsbench import containment
from rsbench.containment import LIMIT_VARIABLE, Origin, PluginError, PluginHung, as_json, code_of, contained
from rsbench.data.prepare import prepare
from rsbench.errors import Stopped, UserError
from rsbench.registry import KINDS, Registry, registry
from rsbench.spec_check import misfit
from rsbench.specs import Accepts, DatasetSpec, ModelSpec, Option, Spec

THEIRS = Origin("theirs", "rsbench-theirs", "1")


def called(function: Callable[[], Any], **how: bool) -> list[str]:
    with contained(THEIRS, "their hook", **how) as faults:
        function()
    return faults


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def function() -> NoReturn:
        raise error

    return function


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad\nvalue \x1b[31m\0"), "ValueError: bad value \ufffd[31m\ufffd"),
        (Mute(), "Mute: (its text cannot be told)"),
        (SystemExit(3), "SystemExit: 3"),
        (GeneratorExit(), "GeneratorExit"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("x" * 5000), f"RuntimeError: {'x' * 300}..."),
    ],
    ids=["text", "mute", "exit", "generator", "memory", "long"],
)
def test_whatever_is_raised_becomes_one_sentence(error: BaseException, text: str) -> None:
    with pytest.raises(PluginError) as caught:
        called(raising(error))
    assert str(caught.value) == f"plugin 'theirs' (distribution 'rsbench-theirs'): their hook raised {text}"


def test_what_is_for_the_user_passes() -> None:
    for error in (UserError("Choose another."), Stopped(signal.SIGTERM)):
        with pytest.raises(type(error)) as caught:
            called(raising(error))
        assert caught.value is error


def test_ctrl_c_is_the_users_where_python_heeds_it_and_else_the_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        called(raising(KeyboardInterrupt()))
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with pytest.raises(PluginError, match="KeyboardInterrupt"):
            called(raising(KeyboardInterrupt()))
    finally:
        signal.signal(signal.SIGINT, before)


CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "the working directory": (lambda: os.chdir("/"), os.getcwd),
    "the recursion limit": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "the handler of SIGINT": (lambda: signal.signal(2, signal.SIG_IGN), lambda: signal.getsignal(2)),
    "torch's default dtype": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "torch's grad mode": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "torch's number of threads": (lambda: torch.set_num_threads(3), torch.get_num_threads),
    "torch's deterministic mode": (
        lambda: torch.use_deterministic_algorithms(True),
        torch.are_deterministic_algorithms_enabled,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("raises", [False, True])
def test_what_the_process_shares_is_put_back(name: str, raises: bool) -> None:
    change, look = CHANGES[name]
    before = look()
    if raises:
        with pytest.raises(PluginError):
            called(lambda: (change(), raising(ValueError())()))
    else:
        assert called(change) == [f"their hook changed {name}"]
    assert look() == before


def test_functions_of_the_standard_library_are_put_back_and_who_replaced_them_is_named() -> None:
    modules = {importlib.import_module(name): names for name, names in containment.FUNCTIONS.items()}
    before = {(module, name): getattr(module, name) for module, names in modules.items() for name in names}
    assert {(json, "dumps"), (os, "replace"), (os, "fsync"), (hashlib, "sha256"), (time, "time")} <= set(before)

    def patch() -> None:
        for module, name in before:
            setattr(module, name, lambda *_, **__: "patched")

    found = Registry()
    found.add("theirs", "rsbench-theirs", "1", lambda: patch() or ModuleType("theirs"))
    now = {(module, name): getattr(module, name) for module, name in before}
    assert now == before
    said = [str(problem) for problem in found.problems]
    begin = "plugin 'theirs' (distribution 'rsbench-theirs'): its import replaced "
    assert said == [f"{begin}{module.__name__}.{name}" for module, name in before]
    assert not any(problem.fatal for problem in found.problems)
    with pytest.raises(PluginError, match="their hook raised ValueError"):
        called(lambda: (delattr(json, "loads"), raising(ValueError())()))
    assert json.loads("1") == 1


def test_standard_output_is_kept_pure(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.FileIO(1, "w", closefd=False)))  # as in a command
    libc = ctypes.CDLL(None)

    def talk() -> None:
        print("from Python", flush=True)
        os.write(1, b"from a descriptor\n\x1b[2J")
        libc.puts(b"from C")
        libc.fflush(None)

    print("before")
    (fault,) = called(talk, quiet=True)
    print("after", flush=True)
    assert capfd.readouterr().out == "before\nafter\n"
    assert fault == "their hook printed 'from Python from a descriptor \ufffd[2Jfrom C'"


def test_streams_that_are_closed_or_replaced_come_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    for spoil in (lambda: os.close(1), lambda: setattr(sys, "stdout", None)):
        (fault,) = called(spoil, quiet=True)
        assert "closed" in fault
        print("still here")
        assert capfd.readouterr().out == "still here\n"
        assert sys.stdout is before


def test_a_hang_is_named_and_ended_and_other_timers_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(containment, "NOTICE_SECONDS", 0.2)
    monkeypatch.setenv(LIMIT_VARIABLE, "1")
    rung: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    before = signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(PluginHung, match="their hook took longer than 1 s and was ended; RSBENCH_PLUGIN_SECONDS"):
            called(lambda: time.sleep(60))
        assert rung == []
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left < 1
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *before)
    said = r"rsbench: waiting for plugin 'theirs' \(distribution 'rsbench-theirs'\): their hook has taken \d s; -p no:theirs"
    assert re.match(said, capsys.readouterr().err)


def test_a_thread_that_is_left_is_named_and_not_waited_for(tmp_path: Path) -> None:
    """Nor is an exit handler that does not end."""
    script = tmp_path / "leaves.py"
    script.write_text(
        "import atexit, sys, threading, time\n"
        "from rsbench import containment as c\n"
        "c.EXIT_SECONDS = 0.2\n"
        "with c.contained(c.Origin('theirs', 'rsbench-theirs', '1'), 'their hook') as faults:\n"
        "    threading.Thread(target=time.sleep, args=(60,), name='busy').start()\n"
        "    atexit.register(time.sleep, 60)\n"
        "print(faults)\n"
        "c.end_in_time(4)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=50)
    assert done.returncode == 4
    assert done.stdout == "[\"their hook left thread 'busy' running\"]\n"
    assert "their hook left thread 'busy' running; it is not waited for." in done.stderr
    assert "their hook registered an exit handler; it is not waited for." in done.stderr


def test_nothing_ends_the_process_but_in_a_child() -> None:
    def fork_and_leave() -> None:
        if (child := os.fork()) == 0:
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        os._exit(7)

    with pytest.raises(PluginError, match=r"their hook called os\._exit\(7\)"):
        called(fork_and_leave, quiet=True)


def test_other_threads_are_contained_too() -> None:
    said: list[str] = []

    def other() -> None:
        try:
            called(raising(SystemExit(2)), quiet=True)
        except PluginError as error:
            said.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert "SystemExit: 2" in said[0]


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [object(), math.nan, {"x": {1, 2}}, deep(30), deep(5000), "x" * 10**6, b"bytes"])
def test_a_record_gets_only_what_json_holds(value: Any) -> None:
    with pytest.raises(PluginError):
        called(lambda: as_json({"fact": value}))


def test_facts_are_plain_data() -> None:
    assert as_json({"a": (1, 2.5), 3: None}) == {"a": [1, 2.5], "3": None}


def test_sources_and_splits_of_plugins_are_contained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DatasetSpec(name="theirs", summary="s", source=f"{__name__}:no_source", generated=True)
    with pytest.raises(PluginError, match=f"plugin '{__name__}' .*: the source of 'theirs' raised SystemExit: 3"):
        prepare(spec, None, tmp_path)
    error = pickle.loads(pickle.dumps(PluginError(THEIRS, "gone")))  # it may come from another process
    assert (str(error), error.text) == ("plugin 'theirs' (distribution 'rsbench-theirs'): gone", "gone")
    assert code_of("rsbench_scenes.source:Source").distribution == "rsbench"
    monkeypatch.setitem(containment.OWNERS, "their_code", THEIRS)  # a package beside that of the entry point
    assert code_of("their_code.sources:Source") == code_of("their_code:Source") == THEIRS
    spec = DatasetSpec(name="theirs", summary="s", source=f"{__name__}:leaves", generated=True)
    with pytest.raises(PluginError, match=r"the source of 'theirs' called os\._exit\(0\)"):
        prepare(spec, None, tmp_path)


def no_source(root: Path, spec: DatasetSpec) -> NoReturn:
    sys.exit(3)


def leaves(root: Path, spec: DatasetSpec) -> None:
    os._exit(0)


# Specs


def changed(spec: Spec, **fields: Any) -> Spec:
    for name, value in fields.items():
        object.__setattr__(spec, name, value)
    return spec


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"summary": 3}, "summary is int where str is expected"),
        ({"name": ["a"]}, "name is list where str is expected"),
        ({"tasks": "vqa"}, "tasks is str where tuple"),
        ({"tags": (object(),)}, "tags is tuple where tuple"),
        ({"options": {"a": 3}}, "options is dict where Mapping"),
        ({"options": {"a": Option(default=math.nan, help="x")}}, "options is dict where Mapping"),
        ({"params": 1.5}, "params is float where int | None is expected"),
        ({"accepts": changed(Accepts(), size="64")}, "accepts is Accepts where Accepts is expected"),  # type: ignore[arg-type]
        ({"test_options": {"x": object()}}, "test_options is dict where Mapping"),
    ],
)
def test_fields_of_specs_are_of_their_declared_types(fields: dict[str, Any], text: str) -> None:
    wrong = misfit(changed(ModelSpec(name="net", summary="s", factory="x:y"), **fields))
    assert wrong is not None
    assert wrong.startswith(text)
    assert misfit(ModelSpec(name="net", summary="s", factory="x:y", tags=["a"])) is None  # type: ignore[arg-type]


def test_specs_of_first_party_plugins_are_right() -> None:
    assert [misfit(spec) for kind in KINDS for spec in registry().specs(kind).values() if misfit(spec)] == []


def test_resolvers_are_asked_once_and_held_to_their_word(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Registry()
    origin = Origin("theirs", "rsbench-theirs", "1")
    family = ModelSpec(
        name="their:*", summary="s", factory="x:y", resolver=f"{__name__}:resolve", members=f"{__name__}:mute"
    )
    found._specs["model"]["their:*"], found._origins["model", "their:*"] = family, origin
    asked.clear()
    assert found.find("model", "their:net").name == found.find("model", "their:net").name == "net"
    assert asked == ["net"]
    assert found.find("model", "their:none") is None
    for member, text in (("data", "DatasetSpec where ModelSpec is expected"), ("exit", "SystemExit: 1")):
        with pytest.raises(PluginError, match=rf"plugin 'theirs' .*the resolver of 'their:\*' raised .*{text}"):
            found.find("model", f"their:{member}")
    with pytest.raises(PluginError, match=r"the members of 'their:\*' raised Mute"):
        found.members("model", "their")


asked: list[str] = []


def resolve(member: str) -> Spec | None:
    asked.append(member)
    if member == "exit":
        sys.exit(1)
    if member == "data":
        return DatasetSpec(name="data", summary="s", source="x:y")
    return ModelSpec(name=member, summary="s", factory="x:y") if member != "none" else None


def mute(pattern: str) -> list[str]:
    raise Mute


def test_an_end_that_takes_long_keeps_its_code() -> None:
    """Once Python takes itself down it calls no handler: on a busy machine the timer ended commands by SIGALRM."""
    code = """import sys, time
from rsbench import containment
containment.EXIT_SECONDS = 0.2
containment._lingering.append("a plugin has left a thread")
class Slow:
    def __del__(self, sleep=time.sleep): sleep(1)
slow = Slow()
containment.end_in_time(3)
sys.exit(3)"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3
