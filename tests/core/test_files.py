"""What is written is there whole or not at all."""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from rsbench import files, states
from rsbench.files import publish, regular, sweep, write_atomically
from rsbench.states import state_of

RSBENCH = Path(__file__).parent.parent.parent / "rsbench"


def interrupted(stream: IO[bytes]) -> None:
    stream.write(b"half")
    raise KeyboardInterrupt


def disk_full(stream: IO[bytes]) -> None:
    stream.write(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_text_bytes_and_writers_make_the_same_file_and_its_folders(tmp_path: Path) -> None:
    for name, content in (("text", "ä\n"), ("bytes", "ä\n".encode()), ("by", lambda s: s.write("ä\n".encode()))):
        write_atomically(tmp_path / "a" / "b" / name, content)
        assert (tmp_path / "a" / "b" / name).read_bytes() == b"\xc3\xa4\n"
    assert sorted(os.listdir(tmp_path / "a" / "b")) == ["by", "bytes", "text"]


@pytest.mark.parametrize(("writer", "error"), [(interrupted, KeyboardInterrupt), (disk_full, OSError)])
@pytest.mark.parametrize("there", [b"before", None])
def test_what_fails_leaves_what_was_there_and_nothing_else(
    writer: object, error: type[BaseException], there: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    if there is not None:
        path.write_bytes(there)
    with pytest.raises(error):
        write_atomically(path, writer)  # type: ignore[arg-type]
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == ({} if there is None else {"record.json": there})


def test_a_disk_that_is_full_when_the_file_is_synced_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/record\.json'"):
        write_atomically(tmp_path / "record.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_the_content_is_on_the_disk_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []
    replace = Path.replace

    def synced(descriptor: int) -> None:
        done.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))

    def renamed(self: Path, target: Path) -> Path:
        done.append(("rename", str(self)))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomically(tmp_path / "a", "text")
    (first, temporary), (second, moved), (third, folder) = done
    assert (first, second, third) == ("sync", "rename", "sync")
    assert temporary == moved
    assert Path(temporary).parent == Path(folder) == tmp_path
    publish(tmp_path / "a", tmp_path / "b")
    assert [what for what, _ in done[3:]] == ["sync", "rename", "sync"]
    assert (tmp_path / "b").read_text() == "text"


def test_links_are_followed_and_devices_written_to(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"
    write_atomically(Path(os.devnull), "gone")
    assert not Path(os.devnull).is_file()
    with pytest.raises(OSError, match="No space"):
        write_atomically(Path("/dev/full"), "x" * 100_000)


def test_a_link_within_its_folder_is_a_file_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "deeper").mkdir(parents=True)
    for path in (folder / "real", folder / "deeper" / "other", tmp_path / "outside"):
        path.write_text("text")
    (tmp_path / "way").symlink_to("run")
    (folder / "link").symlink_to("real")
    for path in (folder / "real", folder / "link", tmp_path / "way" / "link"):
        assert regular(path, links=False) == path
    for name, target in {
        "out": "../outside",
        "down": "deeper/other",
        "circle": "circle",
        "device": "/dev/null",
    }.items():
        (folder / name).symlink_to(target)
        with pytest.raises(OSError, match=r"this is no plain file|symbolic links"):
            regular(folder / name, links=False)
    assert regular(folder / "out").read_text() == "text"
    (folder / "link").unlink()
    (folder / "link").symlink_to("not yet")
    with pytest.raises(FileNotFoundError):
        regular(folder / "link", links=False)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, rsbench.files as files\n"
        f"files.write_atomically(pathlib.Path({str(tmp_path / 'record.json')!r}), lambda s: (s.write(b'h'), os.kill(os.getpid(), 9)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    (tmp_path / ".other.tmp").write_text("a user's")
    (tmp_path / f".r.another-machine-{2**22 + 1}-0.tmp").write_text("of a process whose life is not ours to see")
    (tmp_path / f".r.another-machine-{2**22 + 1}-1.tmp").write_text(
        "of one that has ended: nobody has written for long"
    )
    os.utime(tmp_path / f".r.another-machine-{2**22 + 1}-1.tmp", (0, 0))

    def writer(stream: IO[bytes]) -> None:
        sweep(tmp_path)
        stream.write(b"whole")

    write_atomically(tmp_path / "record.json", writer)
    assert not left.exists()
    assert (tmp_path / "record.json").read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 3


def test_what_was_left_of_a_file_goes_when_it_is_written_again(tmp_path: Path) -> None:
    """Boards and exports have no run whose end would sweep."""
    dead = f"{files._node()}-{2**22 + 1}-0.tmp"
    for name in ("board[1].html", "other.html"):
        (tmp_path / f".{name}.{dead}").write_text("half")
    write_atomically(tmp_path / "board[1].html", "whole")
    assert sorted(os.listdir(tmp_path)) == [f".other.html.{dead}", "board[1].html"]


def test_files_are_written_in_one_place() -> None:
    """By hand only what is no result: a new plugin, a file that the kit breaks."""
    by_hand = {"write_text", "write_bytes", "fsync", "mkstemp", "NamedTemporaryFile"}
    allowed = {"files.py", "scaffold/__init__.py", "testing/datasets.py"}
    found = {
        f"{path.relative_to(RSBENCH)}"
        for path in RSBENCH.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in by_hand
    }
    assert found == allowed


def test_a_file_changes_its_state_whatever_is_done_to_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert state_of(path) is None  # it may be written again within a tick of the clock
    monkeypatch.setattr(states, "SETTLED_NS", -1)
    before, times = state_of(path), path.stat()
    assert before == state_of(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert state_of(path) != before


def test_a_walk_does_not_follow_a_link_to_what_it_lies_in(tmp_path: Path) -> None:
    """A link to the root of the disk, in results of others, made every board look at the whole disk."""
    root, beside = tmp_path / "a" / "root", tmp_path / "beside"
    (root / "run").mkdir(parents=True)
    (beside / "linked").mkdir(parents=True)
    for number, target in enumerate(["/", tmp_path, "..", "../..", beside]):
        (root / f"link{number}").symlink_to(target)
    (beside / "up").symlink_to(tmp_path)
    found = [Path(place).relative_to(root).as_posix() for place, _, _ in states.walk(root)]
    assert found == [".", "link4", "link4/linked", "run"]


def test_a_walk_enters_a_folder_once_whatever_leads_there(tmp_path: Path) -> None:
    (tmp_path / "b" / "inner").mkdir(parents=True)
    (tmp_path / "b" / "inner" / "file").touch()
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "inner" / "up").symlink_to(tmp_path)
    found = [(Path(place).relative_to(tmp_path).as_posix(), inside) for place, _, inside in states.walk(tmp_path)]
    assert found == [(".", []), ("a", []), ("a/inner", ["file"])]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_file_is_neither_opened_nor_waited_for(tmp_path: Path) -> None:
    pipe, endless, folder, kept = (tmp_path / name for name in ("pipe", "endless", "folder", "kept"))
    os.mkfifo(pipe)
    endless.symlink_to("/dev/zero")
    folder.mkdir()
    kept.write_bytes(b"12345")
    for path in (pipe, endless, folder):
        with pytest.raises(OSError, match=f"this is no file: move away what is in its place: '{path}'"):
            regular(path)
    with pytest.raises(OSError, match="it has 5 bytes, 4 at most are read"):
        regular(kept, 4)
    assert regular(kept, 5) == kept
    with pytest.raises(OSError, match=f"'{pipe}'"):  # nobody reads it
        write_atomically(pipe, "text")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, "text")
    assert os.read(reader, 9) == b"text"
    os.close(reader)
