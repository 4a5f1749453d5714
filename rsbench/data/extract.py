"""Safe extraction: nothing outside the target, no links or devices, no bombs, all or nothing."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from rsbench.data.tree import UNREADABLE
from rsbench.errors import UserError

MAX_BYTES: Final = 200 << 30
MAX_RATIO: Final = 200  # unpacked to packed; images and arrays stay far below
SMALL: Final = 100 << 20  # an archive that unpacks to less is no bomb, whatever its ratio
MAX_FILES: Final = 5_000_000


@dataclass(frozen=True)
class _Member:
    name: str
    bytes: int
    kind: str  # file | folder | other


def extract(archive: Path, target: Path) -> Path:
    """Unpack a zip or tar archive into *target*, which appears only when everything is there.

    Raises:
        UserError: the archive is damaged, or holds what it should not; nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _unpack(archive, partial)
    except (*UNREADABLE, tarfile.TarError, lzma.LZMAError, struct.error) as error:
        raise UserError(f"{archive} cannot be unpacked ({error}); fetch or copy it again.") from None
    else:
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        return target
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unpack(archive: Path, target: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            members = _checked(archive, map(_zip_member, opened.infolist()))
            for member in members:
                if member.kind == "file":
                    _write(opened.open(member.name), target / member.name, member.bytes)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened_tar:
            members = _checked(archive, map(_tar_member, opened_tar))
            for info, member in zip(opened_tar.getmembers(), members, strict=True):
                if member.kind == "file":
                    stream = opened_tar.extractfile(info)
                    assert stream is not None
                    _write(stream, target / member.name, member.bytes)
    else:
        raise UserError(f"{archive} is neither a zip nor a tar archive; fetch or copy it again.")


def _zip_member(info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    kind = "folder" if info.is_dir() else "file"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "other"
    return _Member(info.filename, info.file_size, kind)


def _tar_member(info: tarfile.TarInfo) -> _Member:
    return _Member(info.name, info.size, "file" if info.isreg() else "folder" if info.isdir() else "other")


def _checked(archive: Path, members: Iterable[_Member]) -> list[_Member]:
    """Look at every member before anything is written, and at no more of them than may be unpacked."""
    total, names = 0, set()
    found = []
    most = min(MAX_BYTES, max(SMALL, MAX_RATIO * archive.stat().st_size))
    for member in members:
        path = PurePosixPath(member.name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.name:
            raise UserError(f"{archive} is not safe to unpack: '{member.name}' points outside its folder.")
        if member.kind == "other":
            raise UserError(f"{archive} is not safe to unpack: '{member.name}' is a link or a device.")
        if member.kind == "file" and path in names:
            raise UserError(f"{archive} is not safe to unpack: it holds '{member.name}' twice.")
        names.add(path)
        found.append(member)
        total += member.bytes
        if total > most or len(found) > MAX_FILES:
            raise UserError(
                f"{archive} is not safe to unpack: it would become {total / 1e9:.1f} GB or more, in {len(found)} files "
                "or more."
            )
    return found


def _write(stream: IO[bytes], path: Path, size: int) -> None:
    """Copy one member; one that holds more than it declares is an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with stream, path.open("wb") as out:
        for chunk in _chunks(stream):
            left -= len(chunk)
            if left < 0:
                raise UserError(f"{path.name} is larger than its archive says; fetch or copy the archive again.")
            out.write(chunk)
    if left:
        raise EOFError(f"{path.name} is cut short")


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(1 << 20):
        yield chunk
