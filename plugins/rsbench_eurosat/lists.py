"""EuroSAT's official lists ``eurosat-{train,val,test}.txt``: which image is in which part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rsbench import reading
from rsbench.data.tree import FileTree, stem
from rsbench.errors import UserErrors, first_of

PARTS: Final = ("train", "val", "test")


def official_split(tree: FileTree, names: Sequence[str]) -> list[str] | None:
    """Return ``train | val | test`` for each file name by the lists in *tree* or beside its archive.

    Returns:
        ``None`` where one of the lists is missing.

    Raises:
        UserError: a list cannot be read.
        UserErrors: lists and files disagree: a name is in two lists or has no file, or a file is in no list.
    """
    found = {part: _listed(tree, f"eurosat-{part}.txt") for part in PARTS}
    lists = {part: names for part, names in found.items() if names is not None}
    if len(lists) < len(PARTS):
        return None
    member: dict[str, str] = {}
    problems = []
    for part, listed in lists.items():
        if both := [name for name in listed if member.setdefault(stem(name), part) != part]:
            problems.append(f"The lists {member[stem(both[0])]} and {part} of {tree.root} both name {first_of(both)}.")
    stems = [stem(name) for name in names]
    known = set(stems)
    if absent := [name for listed in lists.values() for name in listed if stem(name) not in known]:
        problems.append(f"The lists of {tree.root} name {first_of(absent)}, of which there is no image.")
    if unlisted := [name for name, key in zip(names, stems, strict=True) if key not in member]:
        problems.append(f"No list of {tree.root} names {first_of(unlisted)}.")
    if problems:
        raise UserErrors([*problems, "Put the lists eurosat-*.txt of these images there, or none."])
    return [member[key] for key in stems]


def _listed(tree: FileTree, name: str) -> list[str] | None:
    """Return the file names in a list, or ``None`` without it."""
    inside = tree.called(name)
    beside = tree.folder / name
    if inside is None and not beside.is_file():
        return None
    content = tree.content(inside) if inside else reading.content_of(beside, str(beside))
    lines = reading.decoded(content, f"The list {name} of {tree.root}").splitlines()
    return [line.strip().replace("\\", "/") for line in lines if line.strip()]
