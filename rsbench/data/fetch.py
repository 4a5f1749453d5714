"""Downloads: resumed, checked by size and checksum, from mirrors in order.

A file that is there already is trusted only after its checksum has been taken; the result is kept beside it, with size
and modification time, so that this happens once.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rsbench import reading
from rsbench.data.extract import extract
from rsbench.data.location import raw_folder
from rsbench.data.transfer import CHUNK, WAIT, Broken, OnProgress, Refused, transfer
from rsbench.data.tree import is_hidden
from rsbench.errors import UserError
from rsbench.files import publish, write_atomically
from rsbench.specs import DatasetSpec, RemoteFile

ATTEMPTS: Final = 3  # of a mirror, one after the other, that bring nothing new
PAUSE: Final = 1.0
SILENCE: Final = 27.0  # seconds that a mirror may give nothing new
MOST_OF_A_RECORD: Final = 16 << 20  # bytes
MOST_OF_A_FILE: Final = 1 << 50
_MD5: Final = re.compile("md5:([0-9a-f]{32})")


def fetch(spec: DatasetSpec, root: Path, *, on_progress: OnProgress | None = None) -> Path:
    """Download the files of *spec* into ``<root>/raw/<name>`` and return that folder.

    Raises:
        UserError: the dataset has no files to download, no mirror gives a file, or a checksum is wrong.
    """
    if not spec.files:
        raise UserError(f"'{spec.name}' has nothing to download; prepare it with --source PATH.")
    folder = raw_folder(root, spec.name)
    folder.mkdir(parents=True, exist_ok=True)
    records: dict[str, dict[str, Any]] = {}
    for declared in spec.files:
        path = folder / declared.name
        file = _with_checksum(declared, path, records)
        if not is_verified(path, file):
            download(file, path, on_progress or (lambda done, total: None))
        if file.extract:
            _extract_beside(path, folder)
    return folder


def _with_checksum(file: RemoteFile, path: Path, records: dict[str, dict[str, Any]]) -> RemoteFile:
    """Fill in size and MD5 from the archive's record, which is asked once and kept beside the file."""
    if file.record is None or file.sha256 or file.md5:
        return file
    note = path.with_name(f".{path.name}.published")
    with suppress(KeyError, TypeError):
        facts = reading.kept(note)
        return replace(file, md5=facts["md5"], bytes=facts["bytes"])
    if file.record not in records:
        records[file.record] = _published(file.record, path.parent)
    facts = records[file.record].get(file.name)
    if facts is None:
        raise UserError(f"The record {file.record} does not list {file.name}; it may have been renamed.")
    write_atomically(note, json.dumps(facts))
    return replace(file, md5=facts["md5"], bytes=facts["bytes"])


def _published(record: str, folder: Path) -> dict[str, Any]:
    """Return file name -> size and MD5, as an archive's record lists them."""
    part = folder / ".record.part"
    try:
        transfer(record, part, None, _within_a_record, resume=False)
        entries = reading.json_document(part.read_bytes(), "its answer")["files"]
        return {e["key"]: {"bytes": _size(e["size"]), "md5": _md5(e["checksum"])} for e in entries}
    except (Refused, Broken, UserError, ValueError, KeyError, TypeError) as error:
        said = type(error).__name__ if isinstance(error, (KeyError, TypeError)) else str(error).rstrip(".")
        raise UserError(f"The record {record} cannot be read ({said}); try again later.") from None
    finally:
        part.unlink(missing_ok=True)


def _within_a_record(have: int, total: int) -> None:
    if max(have, total) > MOST_OF_A_RECORD:
        raise Refused("it is longer than a record can be")


def _md5(checksum: Any) -> str:
    """Return the digits of a checksum ``md5:<digits>``; another is a :class:`ValueError`."""
    found = _MD5.fullmatch(str(checksum))
    if found is None:
        raise ValueError(f"{checksum!r:.80} is no MD5")
    return found[1]


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MOST_OF_A_FILE:
        raise ValueError(f"{value!r:.80} is no size")
    return value


def _extract_beside(archive: Path, folder: Path) -> None:
    """Unpack into a folder of the archive's name, then move its contents up, once."""
    marker = folder / f".{archive.name}.extracted"
    digest = archive.stat().st_mtime_ns
    if reading.kept(marker) == digest:
        return
    unpacked = extract(archive, folder / f"{archive.stem}.unpacked")
    for item in unpacked.iterdir():
        target = folder / item.name
        if is_hidden(item.name) or target == archive:
            continue
        if target.is_dir():
            shutil.rmtree(target)
        item.replace(target)
    shutil.rmtree(unpacked)
    write_atomically(marker, str(digest))


def is_verified(path: Path, file: RemoteFile) -> bool:
    """Whether *path* has the right checksum, taken now or at an earlier time and unchanged since."""
    if not path.is_file():
        return False
    state, note = path.stat(), path.with_name(f".{path.name}.verified")
    facts = [state.st_size, state.st_mtime_ns, file.sha256 or file.md5]
    if reading.kept(note) == facts:
        return True
    if (file.bytes is not None and state.st_size != file.bytes) or not _digest_matches(path, file):
        return False
    write_atomically(note, json.dumps(facts))
    return True


def download(file: RemoteFile, path: Path, on_progress: OnProgress) -> None:
    """Download one file to *path*, which appears only when it is whole and right.

    Raises:
        UserError: every mirror failed; the reasons are listed.
    """
    reasons = []
    for url in file.urls:
        try:
            _from_mirror(url, file, path, on_progress)
            return
        except (Refused, Broken) as error:
            reasons.append(f"{url or 'an empty address'}: {error}")
    raise UserError(f"{file.name} cannot be downloaded: {'; '.join(reasons) or 'it has no address'}.")


def _from_mirror(url: str, file: RemoteFile, path: Path, on_progress: OnProgress) -> None:
    """Ask one mirror, and again where the connection breaks, for as long as something new comes.

    Raises:
        Refused: it does not give the file.
        Broken: it did not in the end.
    """
    most, attempt, last = 0, 0, time.monotonic()

    def seen(done: int, total: int) -> None:
        nonlocal most, attempt, last
        if done >= most + CHUNK:
            most, attempt, last = done, 0, time.monotonic()
        on_progress(done, total)

    while True:
        try:
            return _download_once(url, file, path, seen, min(WAIT, SILENCE - (time.monotonic() - last)))
        except Broken:
            pause = PAUSE * 2**attempt
            attempt += 1
            if attempt == ATTEMPTS or time.monotonic() + pause >= last + SILENCE:
                raise
            time.sleep(pause)


def _download_once(url: str, file: RemoteFile, path: Path, on_progress: OnProgress, wait: float) -> None:
    """One request; only with a checksum it is safe to go on from the bytes of an earlier one."""
    part = path.with_name(f"{path.name}.part")
    resumed = transfer(url, part, file.bytes, on_progress, resume=bool(file.sha256 or file.md5), wait=wait)
    if not _digest_matches(part, file):
        size = part.stat().st_size
        part.unlink()
        wrong = f"wrong checksum ({size} bytes)"
        raise Broken(wrong) if resumed else Refused(f"{wrong}; the file there is not the published one")
    publish(part, path)
    is_verified(path, file)


def _digest_matches(path: Path, file: RemoteFile) -> bool:
    name, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    if expected is None:
        return True
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(name, usedforsecurity=False)).hexdigest() == expected
