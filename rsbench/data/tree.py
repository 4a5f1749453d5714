"""Files of a dataset as people keep them: below a folder, in a zip archive, or in archives in a folder, by one rule.

What systems leave beside files is not seen: hidden files and folders, what a Mac adds to an archive (``__MACOSX``,
``._*``), thumbnails and trash.  Links to folders are followed.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from rsbench.data.source import SampleError
from rsbench.errors import UserError
from rsbench.states import walk

CLUTTER: Final = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
JPEG: Final = (".jpg", ".jpeg")
TIFF: Final = (".tif", ".tiff")
MOST_BYTES: Final = 1 << 29  # of one file: what an archive says to unpack to more is a bomb, or not a dataset's
Key = TypeVar("Key")
# What zipfile raises: damage, another method of compression, a password, an offset that is none.
UNREADABLE: Final = (OSError, KeyError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


def place_of(root: Path, archive: str) -> Path:
    """Return the archive of that name in the folder *root*, where there is one, else *root*."""
    inside = root / archive
    return inside if root.is_dir() and inside.is_file() else root


class FileTree:
    """The files of a folder or of an archive, with names relative to it; pickled without open archives.

    Args:
        root: folder or zip archive.
        nested: look into the zip archives of a folder as well; their files are called ``Archive.zip/folder/file``.

    Attributes:
        names: of all files, sorted, with ``/`` on every system.

    Raises:
        UserError: an archive or a folder cannot be read, or holds a name twice or one that is no text.
    """

    def __init__(self, root: Path, *, nested: bool = False) -> None:
        self.root = root
        self._archives: dict[str, Path] = {"": root} if root.is_file() else {}
        self._members: dict[str, str] = {}  # names that an archive spells otherwise, with backslashes
        names = list(_below(root)) if not self._archives else []
        if nested:
            self._archives |= {f"{name}/": root / name for name in names if name.lower().endswith(".zip")}
        for prefix, archive in self._archives.items():
            names += self._in_archive(prefix, archive)
        self.names = sorted(names)
        self._opened: dict[str, zipfile.ZipFile] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": {}}

    @property
    def folder(self) -> Path:
        """The folder, or that of the archive."""
        return self.root.parent if self.root.is_file() else self.root

    def ending(self, suffixes: tuple[str, ...]) -> list[str]:
        """Return the names that end in one of *suffixes*, in small letters, in any case."""
        return [name for name in self.names if name.lower().endswith(suffixes)]

    def called(self, name: str) -> str | None:
        """Return the file called *name* in whatever folder, or ``None``; equal copies count once.

        Raises:
            UserError: several differ.
        """
        return self.by(base_name, [n for n in self.names if base_name(n) == name]).get(name)

    def by(self, key: Callable[[str], Key], names: Iterable[str]) -> dict[Key, str]:
        """Return key -> file; of copies that are equal, byte by byte, the first.

        Raises:
            UserError: two of *names* have one key and differ.
        """
        found: dict[Key, str] = {}
        for name in names:
            first = found.setdefault(key(name), name)
            if first != name and self.content(first) != self.content(name):
                raise UserError(
                    f"{self.root} has two files for '{key(name)}' that differ: {first} and {name}. Take one away."
                )
        return found

    def content(self, name: str) -> bytes:
        """Return the bytes of a file that is no sample.

        Raises:
            UserError: it cannot be read.
        """
        try:
            return self.read(name)
        except SampleError as error:
            raise UserError(f"{self.root}: {error}; fetch or copy it again.") from None

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            SampleError: it cannot be read, or is larger than any sample.
        """
        try:
            prefix = next((p for p in self._archives if name.startswith(p)), None)
            return _read_file(f"{self.root}/{name}") if prefix is None else self._read_member(prefix, name)
        except UNREADABLE as error:
            raise SampleError(f"{name} cannot be read ({getattr(error, 'strerror', None) or error})") from None

    def _read_member(self, prefix: str, name: str) -> bytes:
        opened = self._opened.get(prefix)
        if opened is None:
            opened = self._opened[prefix] = zipfile.ZipFile(self._archives[prefix])
        member = opened.getinfo(self._members.get(name, name[len(prefix) :]))
        _check_size(member.file_size)
        return opened.read(member)

    def _in_archive(self, prefix: str, archive: Path) -> Iterator[str]:
        try:
            with zipfile.ZipFile(archive) as opened:
                members = [info.filename for info in opened.infolist() if not info.is_dir()]
        except UNREADABLE as error:
            raise UserError(f"{archive} is not a readable zip archive ({error}); fetch or copy it again.") from None
        if len(set(members)) < len(members):
            twice = next(name for name in members if members.count(name) > 1)
            raise UserError(f"{archive} holds '{twice}' twice; fetch or copy it again.")
        for member in members:
            plain = member.replace("\\", "/")
            if plain != member:
                self._members[prefix + plain] = member
            if not is_hidden(plain):
                yield prefix + plain


def base_name(name: str) -> str:
    """Return the last part of a name."""
    return name.rpartition("/")[2]


def stem(name: str) -> str:
    """Return the last part of a name without its extension."""
    base = base_name(name)
    return base.rpartition(".")[0] or base


def is_hidden(name: str) -> bool:
    """Whether a relative name is of no file that somebody wanted there."""
    return any(part.startswith(".") or part in CLUTTER for part in name.split("/"))


def _below(root: Path) -> Iterator[str]:
    """Yield the files below a folder."""
    for place, folders, files in walk(root, _refuse):
        folders[:] = [f for f in folders if not is_hidden(f)]
        prefix = "" if Path(place) == root else f"{Path(place).relative_to(root).as_posix()}/"
        yield from (_text(prefix + file) for file in files if not is_hidden(file))


def _text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"The name of file {os.fsencode(name)!r} is no UTF-8 text: rename it.") from None
    return name


def _refuse(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _read_file(path: str) -> bytes:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):  # a pipe might never end
        raise OSError("this is no file")
    _check_size(found.st_size)
    with open(path, "rb") as stream:
        return stream.read()


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes")
