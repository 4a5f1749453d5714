from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsbench.data import fetch as fetching
from rsbench.data.extract import extract
from rsbench.data.fetch import fetch
from rsbench.data.transfer import CHUNK
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec, RemoteFile

DATA = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves DATA under several tempers, named by the path."""

    log: list[tuple[str, str | None]] = []
    records: dict[str, bytes] = {}

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.log.append((self.path, asked))
        if self.path in self.records:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.records[self.path])
            return
        start = int(asked.split("=")[1].rstrip("-")) if asked else 0
        if self.path.startswith("/gone"):
            self.send_error(404)
            return
        if self.path.startswith("/norange"):
            start = 0
        body = DATA[start:] if "wrong" not in self.path else b"x" * len(DATA)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        first = len([p for p, _ in self.log if p == self.path]) == 1
        with contextlib.suppress(ConnectionError):  # a client that has seen enough goes
            self.wfile.write(body[: len(body) // 2] if self.path.startswith("/cut") and first else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    Handler.log, Handler.records = [], {}
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def spec(*urls: str, **changes: object) -> DatasetSpec:
    facts = {"sha256": hashlib.sha256(DATA).hexdigest(), "bytes": len(DATA)} | changes
    return DatasetSpec(name="d", summary="s", source="x:y", files=(RemoteFile(name="f.bin", urls=urls, **facts),))


def test_download_and_trust_without_asking_again(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = fetch(spec(f"{server}/ok"), tmp_path, on_progress=lambda d, t: seen.append((d, t)))
    assert (folder / "f.bin").read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    fetch(spec(f"{server}/ok"), tmp_path)
    assert len(Handler.log) == 1


def test_a_changed_file_is_not_trusted(server: str, tmp_path: Path) -> None:
    folder = fetch(spec(f"{server}/ok"), tmp_path)
    (folder / "f.bin").write_bytes(b"half")
    fetch(spec(f"{server}/ok"), tmp_path)
    assert (folder / "f.bin").read_bytes() == DATA


@pytest.mark.parametrize(("path", "ranged"), [("cut", True), ("norange-cut", True)])
def test_resume_after_a_cut(server: str, tmp_path: Path, path: str, ranged: bool) -> None:
    part = tmp_path / "raw" / "d" / "f.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA[:1000])
    folder = fetch(spec(f"{server}/{path}"), tmp_path)
    assert (folder / "f.bin").read_bytes() == DATA
    assert Handler.log[0][1] == "bytes=1000-"
    assert not part.exists()


def test_body_that_ends_early_is_asked_for_again(server: str, tmp_path: Path) -> None:
    folder = fetch(spec(f"{server}/cut"), tmp_path)
    assert (folder / "f.bin").read_bytes() == DATA
    start = int((Handler.log[1][1] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
    assert len(DATA) // 2 - CHUNK <= start <= len(DATA) // 2


def test_wrong_checksum_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wrong checksum"):
        fetch(spec(f"{server}/wrong"), tmp_path)
    assert list((tmp_path / "raw" / "d").iterdir()) == []


def test_mirrors_are_tried_in_order(server: str, tmp_path: Path) -> None:
    folder = fetch(spec(f"{server}/gone", f"{server}/wrong", f"{server}/ok"), tmp_path)
    assert (folder / "f.bin").read_bytes() == DATA
    assert [p for p, _ in Handler.log] == ["/gone", "/wrong", "/ok"]


def test_all_mirrors_dead(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"f.bin cannot be downloaded: .*404.*ConnectionError"):
        fetch(spec(f"{server}/gone", "http://127.0.0.1:9/x"), tmp_path)


def test_another_size_than_published(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="are expected"):
        fetch(spec(f"{server}/ok", bytes=10), tmp_path)


def test_nothing_to_download(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--source"):
        fetch(DatasetSpec(name="d", summary="s", source="x:y"), tmp_path)


# Checksums that are looked up in an archive's record


def publish(server: str, *names: str, **changes: object) -> str:
    """Serve a record that lists files as DATA, in the shape of Zenodo's interface, and return its address."""
    facts = {"checksum": f"md5:{hashlib.md5(DATA).hexdigest()}", "size": len(DATA)} | changes
    files = [{"id": f"id-{n}", "key": n, **facts, "links": {"self": f"{server}/api/{n}/content"}} for n in names]
    Handler.records["/record"] = json.dumps({"id": 1, "metadata": {"title": "t"}, "files": files}).encode()
    return f"{server}/record"


def recorded(server: str, record: str, *names: str, path: str = "ok") -> DatasetSpec:
    files = tuple(RemoteFile(name=n, urls=(f"{server}/{path}?{n}",), record=record) for n in names)
    return DatasetSpec(name="d", summary="s", source="x:y", files=files)


def left(root: Path) -> list[str]:
    """Files of the dataset, without notes of what was published."""
    return sorted(p.name for p in (root / "raw" / "d").iterdir() if not p.name.endswith(".published"))


def test_a_record_is_asked_once_for_all_files_and_never_again(server: str, tmp_path: Path) -> None:
    found = recorded(server, publish(server, "a.json", "b.json", "c.json"), "a.json", "b.json")
    folder = fetch(found, tmp_path)
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes() == DATA
    assert [p for p, _ in Handler.log] == ["/record", "/ok?a.json", "/ok?b.json"]
    fetch(found, tmp_path)
    assert len(Handler.log) == 3


def test_a_file_there_is_checked_against_the_record(server: str, tmp_path: Path) -> None:
    found = recorded(server, publish(server, "a.json"), "a.json")
    path = tmp_path / "raw" / "d" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    fetch(found, tmp_path)
    assert [p for p, _ in Handler.log] == ["/record"]
    path.write_bytes(DATA[:-1] + b"!")
    fetch(found, tmp_path)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("changes", "path", "named"),
    [
        ({}, "wrong", "a.json cannot be downloaded: .* wrong checksum"),
        ({"checksum": "md5:" + "0" * 32}, "ok", "a.json cannot be downloaded: .* wrong checksum"),
        ({"size": 10}, "ok", "10 are expected"),
    ],
)
def test_a_file_other_than_recorded_is_refused_and_does_not_stay(
    server: str, tmp_path: Path, changes: dict[str, object], path: str, named: str
) -> None:
    found = recorded(server, publish(server, "a.json", **changes), "a.json", path=path)
    with pytest.raises(UserError, match=named) as caught:
        fetch(found, tmp_path)
    assert one_sentence(caught)
    assert left(tmp_path) == []


def test_a_record_without_the_file(server: str, tmp_path: Path) -> None:
    record = publish(server, "b.json")
    with pytest.raises(UserError, match=r"does not list a\.json") as caught:
        fetch(recorded(server, record, "a.json"), tmp_path)
    assert one_sentence(caught)
    assert record in str(caught.value)
    assert list((tmp_path / "raw" / "d").iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"<html>down for maintenance</html>", b"[]", b"{}", b'{"files": [{"key": "a.json"}]}', None],
)
def test_a_record_that_is_none(server: str, tmp_path: Path, content: bytes | None) -> None:
    Handler.records = {} if content is None else {"/gone/record": content}
    with pytest.raises(UserError, match=r"The record http\S+/gone/record cannot be read") as caught:
        fetch(recorded(server, f"{server}/gone/record", "a.json"), tmp_path)
    assert one_sentence(caught)
    assert list((tmp_path / "raw" / "d").iterdir()) == []


@pytest.mark.parametrize("checksum", [None, "sha256:" + "0" * 64])
def test_a_record_without_md5(server: str, tmp_path: Path, checksum: str | None) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(.*is no MD5\)"):
        fetch(recorded(server, publish(server, "a.json", checksum=checksum), "a.json"), tmp_path)
    assert [p for p, _ in Handler.log] == ["/record"]


def test_a_record_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(ConnectionError\)") as caught:
        fetch(recorded("http://127.0.0.1:9", "http://127.0.0.1:9/record", "a.json"), tmp_path)
    assert one_sentence(caught)


def test_fetching_rsvqa_without_the_internet(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "rsbench", "data", "fetch", "rsvqa-lr", "--data-root", str(tmp_path)]
    done = subprocess.run(command, env=os.environ | nowhere, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("rsbench: The record https://zenodo.org/api/records/6344334 cannot be read")
    assert done.stderr.count("\n") == 1


def one_sentence(caught: pytest.ExceptionInfo[UserError]) -> bool:
    return "\n" not in str(caught.value) and str(caught.value).endswith(".")


# Archives


def make_zip(path: Path, members: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return path


def test_zip_and_tar_are_unpacked(tmp_path: Path) -> None:
    first = extract(make_zip(tmp_path / "a.zip", {"x/y.txt": b"hi", "z": b""}), tmp_path / "a")
    assert (first / "x" / "y.txt").read_bytes() == b"hi"
    with tarfile.open(tmp_path / "b.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("x/y.txt")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"hi"))
    assert (extract(tmp_path / "b.tgz", tmp_path / "b") / "x" / "y.txt").read_bytes() == b"hi"


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "..\\out", "C:out"])
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="points outside"):
        extract(make_zip(tmp_path / "a.zip", {"fine": b"1", name: b"2"}), tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_links_and_devices(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="link or a device"):
        extract(make_zip(tmp_path / "a.zip", {"l": b"/etc/passwd"}, {"l": stat.S_IFLNK | 0o777}), tmp_path / "a")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
        with tarfile.open(tmp_path / "b.tar", "w") as archive:
            info = tarfile.TarInfo("x")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(UserError, match="link or a device"):
            extract(tmp_path / "b.tar", tmp_path / "b")


def test_bomb(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not safe to unpack: it would become"):
        extract(make_zip(tmp_path / "a.zip", {"zeros": bytes(150 << 20)}), tmp_path / "a")


def test_names_that_stand_for_one_file_and_what_zipfile_cannot_read(tmp_path: Path) -> None:
    twice = make_zip(tmp_path / "a.zip", {"a/b": b"1", "a\\b": b"2"})
    with pytest.raises(UserError, match="twice"):
        extract(twice, tmp_path / "a")
    for member, said in (("n" * 300, "too long"), ("a/b", "File exists|Not a directory")):
        with pytest.raises(UserError, match=f"cannot be unpacked .*({said})"):
            extract(make_zip(tmp_path / "b.zip", {"a": b"1", member: b"2"}), tmp_path / "b")
    for place, value in ((6, 1), (8, 99)):  # flags: encrypted; method
        content = bytearray(make_zip(tmp_path / "c.zip", {"a": b"1"}).read_bytes())
        content[place] = content[content.index(b"PK\x01\x02") + place + 2] = value
        (tmp_path / "c.zip").write_bytes(content)
        with pytest.raises(UserError, match="cannot be unpacked"):
            extract(tmp_path / "c.zip", tmp_path / "c")
    assert {p.suffix for p in tmp_path.iterdir()} == {".zip"}


def test_damaged_and_foreign_archives(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"x": DATA})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match="cannot be unpacked"):
        extract(path, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "c.zip").write_bytes(b"hello")
    with pytest.raises(UserError, match="neither a zip nor a tar"):
        extract(tmp_path / "c.zip", tmp_path / "c")
