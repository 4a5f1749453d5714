from __future__ import annotations

import hashlib
import http.server
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsbench.data import fetch as fetching
from rsbench.data.extract import extract
from rsbench.data.fetch import fetch
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec, RemoteFile

DATA = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves DATA under several tempers, named by the path."""

    log: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.log.append((self.path, asked))
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
        self.wfile.write(body[: len(body) // 2] if self.path.startswith("/cut") and first else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    Handler.log = []
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
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
    assert len(DATA) // 2 - fetching.CHUNK <= start <= len(DATA) // 2


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
