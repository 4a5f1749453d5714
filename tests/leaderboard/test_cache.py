"""A board made from what was read before is the board of a fresh read, whatever has become of records and store."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_board import add

from rsbench import leaderboard, states
from rsbench.leaderboard import cache, rows
from rsbench.leaderboard.board import build
from rsbench.leaderboard.result import Leaderboard
from rsbench.records import store
from rsbench.records.store import load_all


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of which predictions are read; stores are kept of any number of records of any age."""
    monkeypatch.setattr(cache, "FEW", 1)
    monkeypatch.setattr(states, "SETTLED_NS", 0)
    seen: list[Path] = []
    columns = rows.Columns
    monkeypatch.setattr(rows, "Columns", lambda path, content: seen.append(path) or columns(path, content))
    return seen


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of records that are loaded."""
    seen: list[Path] = []
    load = store.load
    monkeypatch.setattr(store, "load", lambda path: seen.append(path) or load(path))
    return seen


def filled(folder: Path) -> Path:
    for number in range(4):
        for seed in range(2):
            add(folder, f"net-{number}", 0.7 + number / 20, seed)
    return folder


def said(folder: Path) -> list[object]:
    board = leaderboard(folder)
    return [board.render("csv"), board.render("json"), board.problems]


def fresh(folder: Path) -> list[object]:
    problems: list[str] = []
    loaded = load_all([folder], problems)
    board = Leaderboard(build(loaded, unreadable=len(problems)))
    return [board.render("csv"), board.render("json"), (*problems, *board.board.problems)]


def parts(folder: Path) -> list[Path]:
    return sorted((folder / cache.BOARD_CACHE).glob("*"))


def test_only_what_is_new_is_read(tmp_path: Path, read: list[Path], loads: list[Path]) -> None:
    first = said(filled(tmp_path))
    assert (len(read), len(loads)) == (8, 8)
    read.clear()
    loads.clear()
    assert said(tmp_path) == first
    assert read == []
    assert len(loads) == 1  # for the units of the table
    loads.clear()
    new = add(tmp_path, "net-9", 0.5)
    said(tmp_path)
    assert read == [new.parent / "predictions.parquet"]
    assert new in loads
    assert len(loads) == 2


def test_filters_take_of_what_is_known_as_of_what_is_read(tmp_path: Path, read: list[Path]) -> None:
    add(filled(tmp_path), "other", 0.9, division="open")
    said(tmp_path)
    for filters in ({"division": "open"}, {"task": "vqa"}, {"tag": "none-such"}, {"dataset": "eurosat"}):
        known, anew = leaderboard(tmp_path, **filters), build(load_all([tmp_path]), **filters)
        assert known.render("json") == Leaderboard(anew).render("json")


def test_nothing_is_kept_of_a_few_or_of_what_may_be_changing(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path)
    for module, name, value in ((cache, "FEW", 9), (states, "SETTLED_NS", 10**12)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            said(tmp_path)
        assert not (tmp_path / cache.BOARD_CACHE).exists()


def test_parts_become_one(tmp_path: Path, read: list[Path]) -> None:
    filled(tmp_path)
    for number in range(cache.PARTS + 1):
        add(tmp_path, f"more-{number}", 0.5 + number / 50)
        said(tmp_path)
    assert len(parts(tmp_path)) == 1
    read.clear()
    assert said(tmp_path) == fresh(tmp_path)
    assert len(read) == 8 + cache.PARTS + 1  # by the fresh read alone


def _predictions(folder: Path, system: str) -> Path:
    return folder / f"{system}-s0-closed" / "predictions.parquet"


def _in_place(folder: Path) -> None:
    """Another byte, with the size and time of modification that the file had."""
    path = _predictions(folder, "net-1")
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _edit(folder: Path) -> None:
    path = folder / "net-2-s0-closed" / "record.json"
    record = json.loads(path.read_text())
    record["metrics"]["overall_accuracy"]["value"] += 0.001
    path.write_text(json.dumps(record))


def _forge(folder: Path) -> None:
    """Parts whose names are the digests of what they hold, which is nonsense."""
    code = parts(folder)[0].name.partition("-")[0]
    for content in (
        b"",
        b"\n",
        b"[]\n",
        b'{"members": 1}\n',
        b'{"members": [], "rows": {"a": 1}}\n',
        parts(folder)[0].read_bytes()[:-8],
    ):
        (folder / cache.BOARD_CACHE / f"{code}-{hashlib.sha256(content).hexdigest()}{cache.SUFFIX}").write_bytes(
            content
        )


CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda folder: None,
    "a record more": lambda folder: add(folder, "net-5", 0.72),
    "a seed more": lambda folder: add(folder, "net-3", 0.87, 2),
    "predictions in place": _in_place,
    "predictions of another": lambda folder: shutil.copy(_predictions(folder, "net-2"), _predictions(folder, "net-3")),
    "touched": lambda folder: _predictions(folder, "net-2").touch(),
    "predictions gone": lambda folder: _predictions(folder, "net-0").unlink(),
    "a record gone": lambda folder: shutil.rmtree(folder / "net-0-s1-closed"),
    "a record edited": _edit,
    "a record twice": lambda folder: shutil.copytree(folder / "net-2-s1-closed", folder / "copy"),
    "no JSON": lambda folder: (folder / "net-3-s1-closed" / "record.json").write_text("{"),
    "store truncated": lambda folder: [os.truncate(part, part.stat().st_size // 2) for part in parts(folder)],
    "store damaged": lambda folder: [part.write_bytes(part.read_bytes()[:-1] + b"!") for part in parts(folder)],
    "store forged": _forge,
    "store gone": lambda folder: shutil.rmtree(folder / cache.BOARD_CACHE, ignore_errors=True),
}


@pytest.mark.parametrize("order", range(2))
def test_changed_records_and_stores_make_the_board_of_a_fresh_read(
    order: int, tmp_path: Path, read: list[Path]
) -> None:
    said(filled(tmp_path))
    changes = list(CHANGES.items())
    random.Random(order).shuffle(changes)
    for name, change in changes:
        change(tmp_path)
        assert said(tmp_path) == fresh(tmp_path), name


def test_a_folder_that_cannot_be_written_to_has_a_board(tmp_path: Path, read: list[Path]) -> None:
    filled(tmp_path)
    (tmp_path / cache.BOARD_CACHE).write_text("in the way")
    assert said(tmp_path) == fresh(tmp_path)


def test_other_code_reads_anew(tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    said(filled(tmp_path))
    read.clear()
    monkeypatch.setattr(cache, "__version__", "0")
    said(tmp_path)
    assert len(read) == 8


def test_another_process_lists_what_this_one_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "runs")
    (tmp_path / "runs" / "again").symlink_to(tmp_path / "runs" / "net-1-s0-closed")
    (tmp_path / "runs" / "nowhere").mkdir()
    (tmp_path / "runs" / "nowhere" / store.FILE).symlink_to(tmp_path / "lost")
    listing = states.Listing(tmp_path / "runs", store.FILE)
    assert listing.files == [*map(str, store.record_files([tmp_path / "runs"]))]
    assert listing.state(listing.files[0]) is None  # it was just written
    monkeypatch.setattr(states, "SETTLED_NS", -(10**18))
    predictions = os.path.join(os.path.dirname(listing.files[0]), "predictions.parquet")
    assert [listing.state(path) for path in (listing.files[0], predictions)] == [
        states.state_of(path) for path in (listing.files[0], predictions)
    ]
    monkeypatch.setattr(states.sys, "executable", "/bin/false")  # where it cannot, this one does
    assert states.Listing(tmp_path / "runs", store.FILE).files == listing.files
    with pytest.raises(OSError):
        listing.state(str(tmp_path / "lost"))
