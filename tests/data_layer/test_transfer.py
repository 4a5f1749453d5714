"""Whatever a server answers: the right file, or one sentence and nothing large or wrong left behind."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rsbench.data import fetch as fetching
from rsbench.data import transfer as transferring
from rsbench.data.fetch import fetch
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec, RemoteFile

DATA = bytes(range(256)) * 2000
OTHER = DATA[::-1]
HALF = len(DATA) // 2
ENDLESS = 40  # MB, of which no more than declared may be written

Answer = Callable[["Handler", int, int], None]  # handler, first byte that is asked for, how often it was


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the name in the path says."""

    protocol_version = "HTTP/1.1"
    asked: Counter[str] = Counter()
    end = threading.Event()

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.asked[name] += 1
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].rstrip("-"))
        with contextlib.suppress(ConnectionError):
            ANSWERS[name](self, start, self.asked[name])

    def say(self, code: int = 200, body: bytes = b"", length: Any = "true", **headers: str) -> None:
        """Answer; *length* is what is said of it, ``None`` nothing."""
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == "true" else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = length != "true"

    def part(self, body: bytes, start: int, length: Any = "true") -> None:
        self.say(206, body, length, Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")

    def log_message(self, *_: object) -> None:
        pass


def endless(handler: Handler, start: int, time_asked: int) -> None:
    del start, time_asked
    handler.say(200, b"", None)
    for _ in range(ENDLESS):
        handler.wfile.write(bytes(1 << 20))


def drip(handler: Handler, start: int, time_asked: int) -> None:
    del start, time_asked
    handler.say(200, b"", len(DATA))
    for byte in DATA[:100]:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.01)


def hang(begin: int) -> Answer:
    """Send so many bytes, and then nothing."""

    def answer(handler: Handler, start: int, time_asked: int) -> None:
        del start, time_asked
        if begin:
            handler.say(200, DATA[:begin], len(DATA))
        Handler.end.wait(20)

    return answer


def slowly(handler: Handler, start: int, time_asked: int) -> None:
    """Take in all much longer than a server may be silent."""
    del start, time_asked
    handler.say(200, b"", len(DATA))
    for at in range(0, len(DATA), 50_000):
        time.sleep(0.1)
        handler.wfile.write(DATA[at : at + 50_000])


def move(to: str) -> Answer:
    return lambda h, start, n: h.say(302, Location=to)


def cut_first(rest: Answer) -> Answer:
    """Cut the first answer in half, then answer otherwise."""
    return lambda h, start, n: h.say(200, DATA[:HALF], len(DATA)) if n == 1 else rest(h, start, n)


# Name -> (answer, whether the file is had with its size and checksum, what a sentence says).
GIVEN: dict[str, Answer] = {
    "ok": lambda h, start, n: h.say(200, DATA),
    "moved": move("/ok"),
    "no-length": lambda h, start, n: h.say(200, DATA, None),
    "gzip": lambda h, start, n: h.say(200, gzip.compress(DATA), Content_Encoding="gzip"),
    "text-length": lambda h, start, n: h.say(200, DATA, "abc"),
    "range-ignored": cut_first(lambda h, start, n: h.say(200, DATA)),
    "range": cut_first(lambda h, start, n: h.part(DATA[start:], start)),
    "changed": lambda h, start, n: (
        h.say(200, OTHER[:HALF], len(DATA)) if n == 1 else h.part(DATA[start:], start) if start else h.say(200, DATA)
    ),
    "lying-range": lambda h, start, n: (
        h.say(200, DATA[:HALF], len(DATA))
        if n == 1
        else h.part(DATA[: len(DATA) - start], start)
        if start
        else h.say(200, DATA)
    ),
    "cut-often": lambda h, start, n: (
        h.say(200, DATA[:99_000], len(DATA)) if n == 1 else h.part(DATA[start:][:99_000], start, len(DATA) - start)
    ),
    "slow": slowly,
    "wrong-range-once": lambda h, start, n: (
        h.say(200, DATA[:HALF], len(DATA)) if n == 1 else h.part(DATA[5:], 5) if start else h.say(200, DATA)
    ),
}
REFUSED: dict[str, tuple[Answer, str]] = {
    "wrong": (lambda h, start, n: h.say(200, OTHER), "wrong checksum"),
    "short": (lambda h, start, n: h.say(200, DATA[:99]), "has 99 bytes where"),
    "long": (lambda h, start, n: h.say(200, DATA + b"x"), "are expected"),
    "long-without-length": (lambda h, start, n: h.say(200, DATA + b"x", None), "sends more than"),
    "cut-without-length": (lambda h, start, n: h.say(200, DATA[:99], None), "99 of 512000 bytes came"),
    "endless": (endless, "sends more than 512000 bytes"),
    "bomb": (
        lambda h, start, n: h.say(200, gzip.compress(bytes(ENDLESS << 20)), Content_Encoding="gzip"),
        "sends more than 512000 bytes",
    ),
    "circle": (move("/circle"), "TooManyRedirects"),
    "to-a-file": (move("file:///etc/passwd"), "InvalidSchema"),
    "to-nowhere": (move("http://[::1"), "InvalidURL|LocationParseError|ValueError"),
    "not-there": (lambda h, start, n: h.say(404), "answered 404"),
    "broken": (lambda h, start, n: h.say(500, b"oops"), "answered 500"),
    "no-range": (lambda h, start, n: h.say(416), "answered 416"),
    "not-asked": (lambda h, start, n: h.part(DATA[5:], 5), "another part than it was asked for"),
    "not-gzip": (lambda h, start, n: h.say(200, b"no" * 999, Content_Encoding="gzip"), "DecodeError|ContentDecoding"),
    "negative-length": (lambda h, start, n: h.say(200, OTHER, -5), "Invalid|wrong checksum|bytes came"),
    "garbage": (lambda h, start, n: h.wfile.write(b"\0\xff nothing\r\n\r\n"), "ConnectionError|ProtocolError"),
    "gone": (lambda h, start, n: h.connection.shutdown(socket.SHUT_RDWR), "ConnectionError|ProtocolError"),
    "large-header": (lambda h, start, n: h.say(200, DATA, X="a" * 200_000), "ConnectionError|LineTooLong"),
    "drip": (drip, "bytes came in"),
    "hang": (hang(0), "nothing came for"),
    "hang-midway": (hang(70_000), "nothing came for"),
}
RECORDS: dict[str, tuple[bytes, str]] = {
    "list": (b"[]", "TypeError"),
    "page": (b"<html>", "JSON"),
    "deep": (b"[" * 200_000, "nested too deeply"),
    "negative": (b'{"files": [{"key": "f", "size": -1, "checksum": "md5:%s"}]}' % (b"0" * 32), "-1 is no size"),
    "huge": (b'{"files": [{"key": "f", "size": 1e300, "checksum": "md5:%s"}]}' % (b"0" * 32), "is no size"),
    "digits": (b'{"files": [{"key": "f", "size": 1%s}]}' % (b"0" * 5000), "more digits"),
    "other": (b'{"files": [{"key": "f", "size": 1, "checksum": "md5:zz"}]}', "is no MD5"),
    "long": (b" " * (17 << 20), "longer than a record"),
}
ANSWERS: dict[str, Answer] = {
    **GIVEN,
    **{name: answer for name, (answer, _) in REFUSED.items()},
    **{f"record-{k}": lambda h, start, n, body=body: h.say(200, body) for k, (body, _) in RECORDS.items()},
    "record-circle": move("/record-circle"),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    monkeypatch.setattr(transferring, "PATIENCE", 0.2)
    monkeypatch.setattr(fetching, "WAIT", 0.5)
    monkeypatch.setattr(fetching, "SILENCE", 0.8)
    Handler.asked.clear()
    Handler.end.clear()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    Handler.end.set()
    running.shutdown()
    running.server_close()


def asking(*urls: str, **facts: Any) -> DatasetSpec:
    declared = {"sha256": hashlib.sha256(DATA).hexdigest(), "bytes": len(DATA)} | facts
    return DatasetSpec(name="d", summary="s", source="x:y", files=(RemoteFile(name="f", urls=urls, **declared),))


def refuse(spec: DatasetSpec, root: Path, said: str) -> None:
    """Fetch *spec*, which has to end in a sentence, and leave less than the file should have."""
    with pytest.raises(UserError, match=said) as caught:
        fetch(spec, root)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) <= len(DATA)
    assert not (root / "raw" / "d" / "f").exists()


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("facts", [{}, {"bytes": None}])
def test_the_right_file_arrives(server: str, tmp_path: Path, name: str, facts: dict[str, Any]) -> None:
    folder = fetch(asking(f"{server}/{name}", **facts), tmp_path)
    assert (folder / "f").read_bytes() == DATA
    assert sorted(path.name for path in folder.iterdir()) == [".f.verified", "f"]


@pytest.mark.parametrize("name", REFUSED)
def test_another_answer_is_a_sentence(server: str, tmp_path: Path, name: str) -> None:
    refuse(asking(f"{server}/{name}"), tmp_path, REFUSED[name][1])
    folder = fetch(asking(f"{server}/{name}", f"{server}/ok"), tmp_path)  # a mirror mends it
    assert (folder / "f").read_bytes() == DATA


def test_a_server_that_hangs_is_asked_no_more_than_twice(server: str, tmp_path: Path) -> None:
    """Half of what it may be silent in all has gone by then; see SILENCE and WAIT."""
    for name in ("hang", "hang-midway"):
        refuse(asking(f"{server}/{name}"), tmp_path / name, "nothing came for")
        assert Handler.asked[name] == 2


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://[::1", "http://127.0.0.1:1/x"])
def test_odd_addresses_are_a_sentence(server: str, tmp_path: Path, url: str) -> None:
    refuse(asking(url), tmp_path, "f cannot be downloaded: ")
    refuse(asking(), tmp_path, "f cannot be downloaded: it has no address")


def test_what_is_resumed_without_a_checksum_is_not_mixed(server: str, tmp_path: Path) -> None:
    part = tmp_path / "raw" / "d" / "f.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(OTHER[:HALF])
    folder = fetch(asking(f"{server}/range-ignored", sha256=None), tmp_path)
    assert (folder / "f").read_bytes() == DATA


def test_a_part_that_is_longer_than_the_file_is_dropped(server: str, tmp_path: Path) -> None:
    part = tmp_path / "raw" / "d" / "f.part"
    part.parent.mkdir(parents=True)
    for content in (DATA + b"x", OTHER):
        part.write_bytes(content)
        folder = fetch(asking(f"{server}/ok"), tmp_path)
        assert (folder / "f").read_bytes() == DATA
        (folder / "f").unlink()


@pytest.mark.parametrize("name", RECORDS)
def test_odd_records_are_a_sentence(server: str, tmp_path: Path, name: str) -> None:
    record = f"{server}/record-{name}"
    refuse(asking(f"{server}/ok", sha256=None, record=record), tmp_path, f"cannot be read .*{RECORDS[name][1]}")
    assert list((tmp_path / "raw" / "d").iterdir()) == []


def test_a_record_that_moves_in_a_circle(server: str, tmp_path: Path) -> None:
    refuse(asking(f"{server}/ok", sha256=None, record=f"{server}/record-circle"), tmp_path, "TooManyRedirects")


def test_a_note_of_what_was_published_may_be_damaged(server: str, tmp_path: Path) -> None:
    entry = {"key": "f", "size": len(DATA), "checksum": f"md5:{hashlib.md5(DATA).hexdigest()}"}
    ANSWERS["record"] = lambda h, start, n: h.say(200, json.dumps({"files": [entry]}).encode())
    note = tmp_path / "raw" / "d" / ".f.published"
    note.parent.mkdir(parents=True)
    for content in ("[]", "null", '{"md5": 1', "{}"):
        note.write_text(content)
        folder = fetch(asking(f"{server}/ok", sha256=None, bytes=None, record=f"{server}/record"), tmp_path)
        assert (folder / "f").read_bytes() == DATA
