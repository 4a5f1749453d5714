"""One file from one address: bounded in size and time, and resumed where the server can."""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Final

import requests
import urllib3

from rsbench.data.extract import MAX_RATIO, SMALL
from rsbench.foreign import whole

CHUNK: Final = 64 << 10  # what a broken connection can cost
CONNECT, WAIT = 10.0, 15.0  # seconds to connect, and between two bytes
SLOWEST, PATIENCE = 1024, 25.0  # bytes a second, on average, once this many seconds have gone by
SPARE_BYTES: Final = 1 << 30  # that a file of unknown size leaves on the disk

OnProgress = Callable[[int, int], None]

_SILENT: Final = (requests.Timeout, urllib3.exceptions.TimeoutError)
_BROKEN: Final = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
    http.client.HTTPException,
)


class Refused(Exception):
    """This address does not give the file; another may."""


class Broken(Exception):
    """The connection broke; trying again may help."""


def transfer(
    url: str, part: Path, size: int | None, on_progress: OnProgress, *, resume: bool, wait: float = WAIT
) -> bool:
    """Download *url* to *part*; return whether that went on from the bytes that were there.

    Args:
        url: http or https.
        part: file that gets the bytes; what it holds may be the beginning.
        size: bytes of the file, if known: more are not written.  Of unknown size, it may fill the disk but for a GB.
        on_progress: called with bytes there and in all (0: not known).
        resume: go on from the bytes in *part*, where the server can.
        wait: seconds that may pass before the answer, and between two bytes.

    Raises:
        Refused: it gives another file, or none.  Nothing is left of it.
        Broken: it can be tried again, from what *part* holds then.
    """
    have = part.stat().st_size if part.exists() else 0
    if not resume or (size is not None and have > size):
        have = 0
    if have and have == size:
        return True
    # Decoded content has no known size, and cannot be gone on from.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with _answer(url, headers, wait) as response:
        if response.status_code == 416 and have:
            return True  # the part may be all of it: its checksum will tell
        resumed = _is_resumed(response, have, part)
        have = have if resumed else 0
        total = _total(response, have, size)
        limit = total or _most(response, part)
        if size is not None and total != size:
            part.unlink(missing_ok=True)
            raise Refused(f"the server has {total} bytes where {size} are expected")
        with part.open("ab" if resumed else "wb") as out:
            for block in _blocks(response):
                have += len(block)
                if have > limit:
                    break
                out.write(block)
                on_progress(have, total)
    if have > limit:
        part.unlink()
        raise Refused(f"it sends more than {limit} bytes")
    if have < total:
        raise Broken(f"{have} of {total} bytes came")
    return resumed


@contextmanager
def _answer(url: str, headers: dict[str, str], wait: float) -> Iterator[requests.Response]:
    """Ask for *url*; whatever goes wrong until the last byte is one of the two errors."""
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(min(CONNECT, wait), wait)) as response:
            yield response
    except _SILENT:
        raise Broken(f"nothing came for {wait:.0f} s") from None
    except _BROKEN as error:
        raise Broken(type(error).__name__) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        text = " ".join(str(error).split())
        raise Refused(f"{type(error).__name__}: {shorten(text, 120, placeholder=' ...').rstrip('.')}") from None


def _is_resumed(response: requests.Response, have: int, part: Path) -> bool:
    """Whether the answer goes on from *have* bytes."""
    if response.status_code == 200:
        return False
    if response.status_code != 206:
        raise Refused(f"the server answered {response.status_code}")
    if have and response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return True
    part.unlink(missing_ok=True)
    raise Broken("the server sent another part than it was asked for")


def _total(response: requests.Response, have: int, size: int | None) -> int:
    """Return how many bytes the file has in all, 0 where nobody says."""
    length = whole(response.headers.get("Content-Length", ""))
    if length is not None and "Content-Encoding" not in response.headers:
        return have + length
    return size or 0


def _most(response: requests.Response, part: Path) -> int:
    """Return how many bytes a file of unknown size may have: what fits on the disk, and can come out of an encoding."""
    free = shutil.disk_usage(part.parent).free - SPARE_BYTES
    length = whole(response.headers.get("Content-Length", ""))
    encoded = "Content-Encoding" in response.headers and length is not None
    return min(free, max(SMALL, MAX_RATIO * (length or 0))) if encoded else free


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """Yield bytes as they come, decoded."""
    begin, came = time.monotonic(), 0
    read = getattr(response.raw, "read1", response.raw.read)  # waits for what is there, not for a whole block
    while block := read(CHUNK, decode_content=True):
        came += len(block)
        seconds = time.monotonic() - begin
        if seconds > PATIENCE and came < SLOWEST * seconds:
            raise Refused(f"only {came} bytes came in {seconds:.0f} s")
        yield block
