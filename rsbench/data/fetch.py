"""Downloads: resumed, checked by size and checksum, from mirrors in order.

A file that is there already is trusted only after its checksum has been taken; the result is kept beside it, with size
and modification time, so that this happens once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import requests

from rsbench.data.extract import extract
from rsbench.data.location import raw_folder
from rsbench.errors import UserError
from rsbench.files import publish, write_atomically
from rsbench.specs import DatasetSpec, RemoteFile

CHUNK: Final = 64 << 10  # what a broken connection can cost
ATTEMPTS: Final = 3
TIMEOUT: Final = (15, 60)  # seconds to connect, and between two bytes
PAUSE: Final = 1.0

OnProgress = Callable[[int, int], None]


class _Failed(Exception):
    """One mirror did not give the file."""


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
    try:
        facts = json.loads(note.read_text())
    except (OSError, ValueError):
        if file.record not in records:
            records[file.record] = _published(file.record)
        facts = records[file.record].get(file.name)
        if facts is None:
            raise UserError(f"The record {file.record} does not list {file.name}; it may have been renamed.") from None
        write_atomically(note, json.dumps(facts))
    return replace(file, md5=facts["md5"], bytes=facts["bytes"])


def _published(record: str) -> dict[str, Any]:
    """Return file name -> size and MD5, as an archive's record lists them."""
    try:
        answer = requests.get(record, timeout=TIMEOUT)
        answer.raise_for_status()
        entries = answer.json()["files"]
        return {e["key"]: {"bytes": int(e["size"]), "md5": _md5(e["checksum"])} for e in entries}
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The record {record} cannot be read ({type(error).__name__}); try again later.") from None


def _md5(checksum: Any) -> str:
    """Return the digits of a checksum ``md5:<digits>``; another is a :class:`ValueError`."""
    kind, _, digits = str(checksum).partition(":")
    if kind != "md5":
        raise ValueError(f"no MD5: {checksum}")
    return digits


def _extract_beside(archive: Path, folder: Path) -> None:
    """Unpack into a folder of the archive's name, then move its contents up, once."""
    marker = folder / f".{archive.name}.extracted"
    digest = archive.stat().st_mtime_ns
    if marker.is_file() and marker.read_text() == str(digest):
        return
    unpacked = extract(archive, folder / f"{archive.stem}.unpacked")
    for item in unpacked.iterdir():
        target = folder / item.name
        if target.is_dir():
            import shutil

            shutil.rmtree(target)
        item.rename(target)
    unpacked.rmdir()
    write_atomically(marker, str(digest))


def is_verified(path: Path, file: RemoteFile) -> bool:
    """Whether *path* has the right checksum, taken now or at an earlier time and unchanged since."""
    if not path.is_file():
        return False
    state, note = path.stat(), path.with_name(f".{path.name}.verified")
    facts = [state.st_size, state.st_mtime_ns, file.sha256 or file.md5]
    try:
        if json.loads(note.read_text()) == facts:
            return True
    except (OSError, ValueError):
        pass
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
        for attempt in range(ATTEMPTS):
            try:
                _download_once(url, file, path, on_progress)
                return
            except _Failed as error:
                reasons.append(f"{url}: {error}")
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                if attempt == ATTEMPTS - 1:
                    reasons.append(f"{url}: {type(error).__name__}")
                else:
                    time.sleep(PAUSE * 2**attempt)
    raise UserError(f"{file.name} cannot be downloaded: {'; '.join(reasons)}.")


def _download_once(url: str, file: RemoteFile, path: Path, on_progress: OnProgress) -> None:
    """One request; goes on from the bytes of an earlier one where the server can."""
    part = path.with_name(f"{path.name}.part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:  # the part is as long as the file, or longer: begin anew if it is wrong
            response.close()
        elif response.status_code not in (200, 206):
            raise _Failed(f"the server answered {response.status_code}")
        else:
            resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            )
            have = have if resumed else 0
            length = response.headers.get("Content-Length")
            total = file.bytes or (have + int(length) if length else 0)
            if file.bytes is not None and length and have + int(length) > file.bytes:
                part.unlink(missing_ok=True)
                raise _Failed(f"the server has {have + int(length)} bytes where {file.bytes} are expected")
            with part.open("ab" if resumed else "wb") as out:
                for chunk in response.iter_content(CHUNK):
                    out.write(chunk)
                    have += len(chunk)
                    on_progress(have, total)
            if length and total and have < total:
                raise requests.ConnectionError(f"{have} of {total} bytes came")
    if not _digest_matches(part, file):
        size = part.stat().st_size
        part.unlink()
        raise _Failed(f"wrong checksum ({size} bytes); the file there is not the published one")
    publish(part, path)
    is_verified(path, file)


def _digest_matches(path: Path, file: RemoteFile) -> bool:
    name, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    if expected is None:
        return True
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(name, usedforsecurity=False)).hexdigest() == expected
