"""What lies at a path: which images, in which split, with which labels, sentences or questions.  No pixel is read.

In this order: ``metadata.csv``, ``.jsonl`` or ``.parquet`` as the Hub's imagefolder has them, at the top or in folders
of splits; ``dataset.json``; lists called train, val and test; one other list with a column of images; folders of
classes, below folders of splits, beside text files that list the images of each split, or alone.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rsbench import reading
from rsbench.data.tree import JPEG, TIFF, FileTree, base_name, stem
from rsbench.errors import UserError, first_of
from rsbench_folder import splits, tables

IMAGES: Final = (*JPEG, ".png", *TIFF)
OTHER_IMAGES: Final = (".bmp", ".gif", ".webp", ".jp2", ".heic", ".npy", ".tfrecord", ".hdf", ".nc")
METADATA: Final = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
KARPATHY: Final = "dataset.json"
ARCHIVE: Final = ".zip"


@dataclass
class Listing:
    """Images with what is said of each; ids are names without the folders that all have in common.

    Attributes:
        parts: split of each image, or ``None`` where files say nothing of splits.
        said: what each image comes with: its label, its sentences, or its questions as rows of a list.
        files: that were read besides the images.
    """

    tree: FileTree
    task: str
    images: list[str]
    parts: list[str] | None
    said: list[Any]
    files: list[str] = field(default_factory=list)
    layout: str = ""

    @property
    def ids(self) -> list[str]:
        """Names of the images, alike on every system."""
        folders = {name.rpartition("/")[0] for name in self.images}
        shared = posixpath.commonpath(folders) if len(folders) > 1 else next(iter(folders))
        return [unicodedata.normalize("NFC", name[len(shared) :].lstrip("/")) for name in self.images]


def read(place: Path, settings: Mapping[str, Any]) -> Listing:
    """Return what lies at *place*: a folder, a zip archive, or a list whose paths are relative to its folder.

    Raises:
        UserError: no images are there, lists and images do not fit, or a label, sentence or answer is missing.
    """
    if place.is_dir() or place.suffix.lower() == ARCHIVE:
        return _Place(FileTree(place), settings.get("task")).listing()
    tables.kind_of(place.name)
    folder = Path(settings.get("images", place.parent))
    if not folder.is_dir():
        raise UserError(f"images={folder} is no folder.")
    return _Place(_Only(folder, place), settings.get("task")).of_list(os.path.relpath(place, folder))


class _Only(FileTree):
    """A folder of images, and a list that may lie elsewhere."""

    def __init__(self, root: Path, table: Path) -> None:
        super().__init__(root)
        self.table = table

    def content(self, name: str) -> bytes:
        """Return the bytes of the list."""
        del name
        return reading.content_of(self.table, f"The list {self.table}")


class _Place:
    """The files of a place, and the ways in which they may be a dataset."""

    def __init__(self, tree: FileTree, task: str | None) -> None:
        self.tree, self.task = tree, task
        self.images = tree.ending(IMAGES)
        self.top = _shared(tree.names)
        if not self.images:
            raise UserError(f"There are no images in {tree.root}: JPEG, PNG or TIFF files are read{_hint(tree)}.")

    def listing(self) -> Listing:
        """Return what the files are, the most explicit first."""
        at_top = [n for n in self.tree.names if n.rpartition("/")[0] == self.top]
        if found := [n for n in self.tree.names if base_name(n).lower() in METADATA and self._depth(n) < 2]:
            try:
                return self._of_tables(found, by_folder=True)
            except tables.NothingSaid:  # it holds something else, such as coordinates
                pass
        if found := [n for n in at_top if base_name(n) == KARPATHY]:
            return self._of_tables(found)
        usable, refused = self._usable([n for n in at_top if tables.is_list(n)])
        by_part = {name: part for name in usable if (part := _part_in(name))}
        if len(by_part) > 1 and len(set(by_part.values())) == len(by_part):
            return self._of_tables(list(by_part))
        if len(usable) > 1:
            raise UserError(
                f"{self.tree.root} has several lists, {first_of([base_name(n) for n in usable])}: give the path of one."
            )
        if usable:
            return self._of_tables(usable)
        return self._class_folders([n for n in at_top if n.lower().endswith(".txt") and _part_in(n)], refused)

    def of_list(self, name: str) -> Listing:
        """Return what one list says."""
        return self._of_tables([name])

    def _depth(self, name: str) -> int:
        return name[len(self.top) :].strip("/").count("/")

    def _usable(self, names: Iterable[str]) -> tuple[list[str], str]:
        """Return the lists that speak of images, and why another cannot be read."""
        usable, refused = [], ""
        for name in names:
            try:
                rows = tables.rows_of(self.tree.content(name), name, self._where(name))
                tables.columns_of(rows, self._where(name), self.task)
                usable.append(name)
            except tables.NothingSaid:
                continue
            except UserError as error:
                refused = str(error)
        return usable, refused

    def _where(self, name: str) -> str:
        return f"The list {base_name(name)} of {self.tree.root}"

    # Lists

    def _of_tables(self, names: list[str], *, by_folder: bool = False) -> Listing:
        """Return what one list says, or those of several splits."""
        images = _Names(self.images)
        entries: list[tables.Entry] = []
        task = self.task
        for name in names:
            where = self._where(name)
            rows = tables.rows_of(self.tree.content(name), name, where)
            columns = tables.columns_of(rows, where, task)
            task = columns.task
            part = _part_in(name) if len(names) > 1 and not by_folder else ""
            entries += tables.entries(rows, columns, where, base=name.rpartition("/")[0], part=part)
        assert task is not None
        unknown = [e.image for e in entries if images.find(e) is None]
        if unknown:
            lists = " and ".join(base_name(n) for n in names)
            raise UserError(
                f"{lists} of {self.tree.root} names {first_of(_once(unknown))}, of which there is no image."
            )
        found = tables.gathered([(str(images.find(e)), e) for e in entries], task, str(self.tree.root))
        parts = [self._part(name, entry.part) for name, entry in found.first.items()]
        return Listing(
            self.tree,
            task,
            list(found.first),
            parts if any(parts) else None,
            list(found.said.values()),
            [n for n in names if n in self.tree.names],
            f"by {' and '.join(base_name(n) for n in names)}",
        )

    def _part(self, image: str, said: str) -> str:
        """The split that a list says, else that whose folder an image lies in."""
        return said or splits.WORDS.get(image[len(self.top) :].strip("/").partition("/")[0].lower(), "")

    # Folders of classes

    def _class_folders(self, lists: list[str], refused: str) -> Listing:
        if self.task not in (None, "classification"):
            raise UserError(
                refused
                or f"There is no list in {self.tree.root} for {self.task}, with columns such as "
                f"{tables.EXAMPLES[self.task or '']}."
            )
        top = _shared(self.images)
        below = {name: name[len(top) :].strip("/").split("/")[:-1] for name in self.images}
        if loose := [name for name, folders in below.items() if not folders]:
            if len(loose) == len(below):
                where = (
                    f"in one folder, '{base_name(top)}', which is one class only" if top else "in no folder of a class"
                )
                raise UserError(
                    refused
                    or f"All images of {self.tree.root} lie {where}, and there is no list of their labels: make one "
                    "folder for each class, or a labels.csv with columns image and label."
                )
            below = {name: folders for name, folders in below.items() if folders}
        heads = Counter(folders[0] for folders in below.values())
        by_split = _are_splits(heads, str(self.tree.root))
        images = sorted(below)
        parts: list[str] | None
        if by_split:
            if flat := [n for n in images if len(below[n]) < 2]:
                raise UserError(f"{first_of(flat)} of {self.tree.root} lies in the folder of a split, but of no class.")
            parts = [splits.WORDS[below[n][0].lower()] for n in images]
            self._refuse_copies(images, parts, top)
            layout = f"folders of classes in {', '.join(sorted(heads))}"
        else:
            parts = self._listed_parts(images, lists)
            layout = "folders of classes"
        if loose:
            layout += f", without {len(loose)} that lie in none ({first_of([base_name(n) for n in loose])})"
        said = [below[n][1 if by_split else 0] for n in images]
        said = [unicodedata.normalize("NFC", label) for label in said]
        files = lists if parts and not by_split else []
        return Listing(self.tree, "classification", images, parts, said, files, layout)

    def _refuse_copies(self, images: list[str], parts: list[str], top: str) -> None:
        """Refuse a file that lies, byte by byte the same, in two splits under one name."""
        seen: dict[str, tuple[str, str]] = {}
        for name, part in zip(images, parts, strict=True):
            key = name[len(top) :].strip("/").partition("/")[2]
            first, other = seen.setdefault(key, (name, part))
            same = other != part and self._size(first) == self._size(name)
            if same and self.tree.content(first) == self.tree.content(name):
                raise UserError(f"{first} and {name} of {self.tree.root} are one image in two splits.")

    def _size(self, name: str) -> int | None:
        path = self.tree.root / name
        return path.stat().st_size if self.tree.root.is_dir() else None

    def _listed_parts(self, images: list[str], lists: list[str]) -> list[str] | None:
        """Return the part of each image by ``train.txt``, ``val.txt`` and ``test.txt``; ``None`` without those."""
        by_part = {_part_in(name): name for name in lists}
        if not {splits.TRAIN, splits.TEST} <= set(by_part):
            return None
        names, made = _Names(images), dict.fromkeys(images, "")
        for part, name in by_part.items():
            where = self._where(name)
            lines = reading.decoded(self.tree.content(name), where).splitlines()
            entries = [tables.Entry(line.strip().replace("\\", "/"), self.top) for line in lines if line.strip()]
            if unknown := [e.image for e in entries if names.find(e) is None]:
                raise UserError(f"{where} names {first_of(_once(unknown))}, of which there is no image.")
            for found in (str(names.find(e)) for e in entries):
                if made[found] not in ("", part):
                    raise UserError(f"{found} of {self.tree.root} is in two splits, {made[found]} and {part}.")
                made[found] = part
        return [made[name] for name in images]


class _Names:
    """Finds an image by its path from the list or from the top, by its file name, or by that without its ending."""

    def __init__(self, images: Iterable[str]) -> None:
        plain = {_plain(name): name for name in images}
        self.by_path = plain
        self.by_base = _unique((base_name(p), name) for p, name in plain.items())
        self.by_stem = _unique((stem(p), name) for p, name in plain.items())

    def find(self, entry: tables.Entry) -> str | None:
        """Return the file that an entry means, or ``None``."""
        said = _plain(entry.image)
        folders = said.strip("/").split("/")
        paths = [posixpath.join(entry.base, said), *("/".join(folders[k:]) for k in range(len(folders)))]
        found = next((self.by_path[p] for p in map(posixpath.normpath, paths) if p in self.by_path), None)
        if found or "/" in said:  # a file of the name in another folder is another image
            return found
        return self.by_base.get(said) or self.by_stem.get(said) or self.by_stem.get(stem(said))


def _hint(tree: FileTree) -> str:
    """What else than images there is, as the end of a sentence."""
    if archives := tree.ending((ARCHIVE,)):
        return f"; give the path of an archive, such as {archives[0]}, itself"
    others = tree.ending(OTHER_IMAGES)
    return f"; those such as {first_of(others)} cannot be" if others else ""


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return key -> name for keys that one name has."""
    known = list(pairs)
    counts = Counter(key for key, _ in known)
    return {key: name for key, name in known if counts[key] == 1}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _shared(names: Iterable[str]) -> str:
    """The folder that all names have in common, nothing for none."""
    folders = {name.rpartition("/")[0] for name in names}
    return posixpath.commonpath(folders) if folders and "" not in folders else ""


def _part_in(name: str) -> str:
    """The split that a file's name ends in, or is: ``eurosat-train.txt``, ``val.csv``; else nothing."""
    return splits.WORDS.get(re.split(r"[-_. ]", stem(name).lower())[-1], "")


def _are_splits(folders: Mapping[str, int], root: str) -> bool:
    """Whether folders are those of splits.

    Raises:
        UserError: some are, and some are not.
    """
    named = [f for f in folders if f.lower() in splits.WORDS]
    others = [f for f in folders if f.lower() not in splits.WORDS]
    parts = {splits.WORDS[f.lower()] for f in named}
    if splits.TRAIN not in parts or len(parts) < 2:
        return bool(named) and not others
    if others:
        raise UserError(
            f"{root} has folders of splits, {first_of(sorted(named))}, beside {first_of(sorted(others))}: take these "
            "away."
        )
    return True


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
