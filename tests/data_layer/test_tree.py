"""Files as people keep them: the same files are found in a folder, in its archive and in archives in a folder."""

from __future__ import annotations

import os
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsbench.data.source import SampleError
from rsbench.data.tree import JPEG, FileTree, is_hidden, stem
from rsbench.errors import UserError

PART = st.sampled_from(["Forest", "imgs", "1.TIF", "a.jpeg", "B.JPG", "x.txt", ".Trash-0", "__MACOSX", "._1.tif", "é"])
NAMES = st.lists(st.lists(PART, min_size=1, max_size=3).map("/".join), unique=True, max_size=8)


def write(root: Path, files: dict[str, bytes]) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def pack(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@given(NAMES)
def test_one_rule_for_folder_and_archive(names: list[str]) -> None:
    names = [n for n in names if not any(other.startswith(f"{n}/") for other in names)]
    files = {name: name.encode() for name in names}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        archive = pack(root / "packed" / "all.zip", files)
        trees = [FileTree(write(root / "plain", files)), FileTree(archive)]
        nested = FileTree(archive.parent, nested=True)
        wanted = sorted(name for name in names if not is_hidden(name))
        assert [tree.names for tree in trees] == [wanted, wanted]
        assert [n for n in nested.names if n != "all.zip"] == [f"all.zip/{name}" for name in wanted]
        for tree in (*trees, nested):
            again = pickle.loads(pickle.dumps(tree))
            assert [again.read(n).decode() for n in again.names if n != "all.zip"] == wanted
            assert tree.ending(JPEG) == [n for n in tree.names if n.lower().endswith((".jpg", ".jpeg"))]


def test_copies_count_once_and_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    tree = FileTree(write(tmp_path, {"imgs/1.tif": b"a", "backup/1.TIF": b"a", "imgs/2.tif": b"b"}))
    assert tree.by(stem, tree.names) == {"1": "backup/1.TIF", "2": "imgs/2.tif"}
    write(tmp_path, {"backup/2.tif": b"c"})
    tree = FileTree(tmp_path)
    with pytest.raises(UserError, match=r"two files for '2' that differ: backup/2\.tif and imgs/2\.tif"):
        tree.by(stem, tree.names)


def test_links_to_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    write(tmp_path / "far", {"Forest/1.jpg": b"x"})
    root = write(tmp_path / "near", {"list.txt": b""})
    (root / "2750").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "circle").symlink_to(root)
    assert FileTree(root).names == ["2750/Forest/1.jpg", "list.txt"]


def test_names_with_backslashes_are_paths(tmp_path: Path) -> None:
    tree = FileTree(pack(tmp_path / "w.zip", {"2750\\Forest\\1.jpg": b"x", "__MACOSX\\._1.jpg": b"y"}))
    assert tree.names == ["2750/Forest/1.jpg"]
    assert tree.read("2750/Forest/1.jpg") == b"x"


def damaged(content: bytes, place: int, value: bytes) -> bytes:
    """Return an archive of one file with other bytes in its header, and where its list repeats that."""
    central = content.index(b"PK\x01\x02")
    for start in (place, central + place + 2):
        content = content[:start] + value + content[start + len(value) :]
    return content


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (6, b"\1", "encrypted|password"),
        (8, struct.pack("<H", 99), "compression method"),
        (14, b"\0\0\0\0", "CRC"),
        (22, struct.pack("<I", 3_000_000_000), "3,000,000,000 bytes"),
    ],
)
def test_members_that_cannot_be_read_are_named(tmp_path: Path, place: int, value: bytes, said: str) -> None:
    path = pack(tmp_path / "a.zip", {"a.jpg": b"some bytes" * 50})
    path.write_bytes(damaged(path.read_bytes(), place, value))
    with pytest.raises(SampleError, match=rf"a\.jpg cannot be read .*({said})"):
        FileTree(path).read("a.jpg")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    with pytest.raises(SampleError, match=r"1\.jpg cannot be read \(this is no file\)"):
        FileTree(tmp_path).read("1.jpg")
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    with pytest.raises(UserError, match="no UTF-8 text"):
        FileTree(tmp_path)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        FileTree(tmp_path / "nowhere")
    (tmp_path / "no.zip").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match="not a readable zip archive"):
        FileTree(tmp_path / "no.zip")
    twice = pack(tmp_path / "twice.zip", {"a": b"1", "b": b"2"})
    twice.write_bytes(twice.read_bytes().replace(b"b", b"a"))
    with pytest.raises(UserError, match="holds 'a' twice"):
        FileTree(tmp_path / "twice.zip")
