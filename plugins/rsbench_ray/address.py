"""Whether a Ray cluster answers at an address, known within seconds: Ray itself tries for minutes, and says so in its
own words only.

One request is made by hand, in HTTP/2, of which the package of Ray brings no client for Python.
"""

from __future__ import annotations

import os
import socket
import time
from typing import IO, Final

from rsbench.errors import UserError

ANSWER_SECONDS: Final = 3.0
UNUSABLE: Final = "The Ray cluster at '{address}' cannot be used: {reason}. Is it up? See: ray status."
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS: Final = 1  # kinds of frames
SETTINGS: Final = 4
COMPLETE: Final = 5  # flags of headers that nothing follows
POST: Final = b"\x83"  # headers of HPACK's static table: method, scheme and status
HTTP: Final = b"\x86"
OK: Final = b"\x88"
SHOWN: Final = {":path": "/grpc.health.v1.Health/Check", "te": "trailers", "content-type": "application/grpc"}


def require_answer(address: str) -> None:
    """See that a gRPC server, as Ray's is, answers at HOST:PORT.

    Raises:
        UserError: none does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return  # auto, local, or what Ray refuses by itself
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                connection.sendall(_request(host))
                with connection.makefile("rb") as stream:
                    _read_answer(stream)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(UNUSABLE.format(address=address, reason=str(error).rstrip("."))) from None


def _request(host: str) -> bytes:
    headers = POST + HTTP + b"".join(_header(name, value) for name, value in {":authority": host, **SHOWN}.items())
    return PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, COMPLETE, 1, headers)


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def _header(name: str, value: str) -> bytes:
    """Return a header as HPACK's literal, neither indexed nor compressed."""
    return b"\0" + b"".join(bytes([len(part)]) + part.encode() for part in (name, value))


def _read_answer(stream: IO[bytes]) -> None:
    """Raise OSError where the answer is not that of a gRPC server, whose status is 200 even for an error."""
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until and len(head := stream.read(9)) == 9:
        content = stream.read(int.from_bytes(head[:3], "big"))
        if head[3] == HEADERS:
            if content[:1] == OK:
                return
            break
    raise OSError("what answers there is not Ray")
