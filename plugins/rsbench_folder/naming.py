"""``folder:PATH,size=64``: what the name of a dataset says, and the name that boards show."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.specs import NAME_PATTERN, DatasetSpec
from rsbench_folder.specs import FAMILY, PREFIX, TASKS

LARGEST: Final = 4096  # pixels
LONGEST: Final = 60  # letters of a name
NAMELESS: Final = "data"
HOME: Final = "~"


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LARGEST):
        raise UserError(f"size={text} is no side of images in pixels, from 1 to {LARGEST}.")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UserError(f"seed={text} is no seed of a split: give a whole number.")
    return int(text)


def _task(text: str) -> str:
    if text not in TASKS:
        raise UserError(f"task={text} is none of {', '.join(TASKS)}.")
    return text


SETTINGS: Final[dict[str, Callable[[str], Any]]] = {
    "size": _size,
    "seed": _seed,
    "task": _task,
    "name": lambda text: cleaned(text),
    "images": lambda text: str(Path(text).expanduser().absolute()),
}
_SETTING: Final = re.compile(rf",({'|'.join(SETTINGS)})=([^,]*)$")


def parse(member: str) -> tuple[str, dict[str, Any]]:
    """Return the path in a name, and its settings; a path that is there is taken as it is, commas and all.

    Raises:
        UserError: a setting has a value that it cannot have, or is given twice.
    """
    settings: dict[str, Any] = {}
    while (found := _SETTING.search(member)) and not Path(member).expanduser().exists():
        name, text = found.groups()
        if name in settings:
            raise UserError(f"'{PREFIX}:{member}' says {name}= twice.")
        settings[name] = SETTINGS[name](text)
        member = member[: found.start()]
    return member, settings


def cleaned(text: str) -> str:
    """Return *text* as a name: letters, digits, ``.``, ``_``, ``+`` and ``-``; what is left of accents is dropped."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._+]+", "-", plain).strip("-._+")[:LONGEST]
    return name or NAMELESS


def resolve(member: str) -> DatasetSpec | None:
    """Return the spec of the data at a path; nothing is read.

    A name without a path in it, of which there is no such file here, is that of data prepared before.

    Raises:
        UserError: there is nothing at the path, or a setting is wrong.
    """
    text, settings = parse(member)
    place = Path(text).expanduser()
    if text and place.exists():
        return _spec(Path(os.path.abspath(place)), settings)
    if NAME_PATTERN.fullmatch(text) and not settings:
        return replace(FAMILY, name=f"{PREFIX}:{text}", resolver=None, members=None, summary="Data prepared before.")
    if not text:
        raise UserError(f"Give the path of a folder, an archive or a list, as in {PREFIX}:./fields.")
    raise UserError(f"There is no folder or file '{text}'{_unknown_setting(text)}.")


def _spec(place: Path, settings: Mapping[str, Any]) -> DatasetSpec:
    name = settings.get("name") or cleaned(place.name if place.is_dir() else place.stem)
    return replace(
        FAMILY,
        name=f"{PREFIX}:{name}",
        summary=f"Images of {place.name or place}.",
        place=str(place),
        settings={key: value for key, value in sorted(settings.items()) if key != "name"},
        resolver=None,
        members=None,
    )


def _unknown_setting(text: str) -> str:
    found = re.search(r",(\w+)=[^,/]*$", text)
    known = ", ".join(f"{name}=" for name in SETTINGS)
    return f", and '{found[1]}' is no setting: {known} are" if found and found[1] not in SETTINGS else ""


def members(pattern: str = "*") -> list[str]:
    """Return folders, archives and lists whose paths match a shell pattern, for completion; folders end in ``/``."""
    short = pattern.startswith(HOME)
    home = str(Path.home())
    found = []
    for text in sorted(glob(home + pattern[1:] if short else pattern)):
        path = Path(text)
        if path.name.startswith(".") and not pattern.rpartition("/")[2].startswith("."):
            continue
        shown = HOME + text.removeprefix(home) if short else text
        if path.is_dir():
            found.append(shown.rstrip("/") + "/")
        elif path.suffix.lower() in (".zip", ".csv", ".tsv", ".json", ".jsonl", ".parquet"):
            found.append(shown)
    return found
