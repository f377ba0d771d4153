"""What viewer and monitor say to each other before the session's own frames flow.

The viewer opens with Hello; the monitor answers Welcome and then sends the frames of the session from ``since``
on, byte for byte as they lie in the file, or Refused. The same framing as a session, other kinds.
"""

from __future__ import annotations

from typing import Union

import msgspec
from msgspec import Struct

from .frame import FrameError, opened, sealed

PROTOCOL = 1
HELLO_LIMIT = 4096
"""Longest Hello a monitor reads, in bytes."""


class Hello(Struct, tag="hello", omit_defaults=True):
    """``since``: how many frames the viewer has already; ``run``: the run they are from, empty at first."""

    protocols: list[int]
    since: int = 0
    run: str = ""


class Welcome(Struct, tag="welcome", omit_defaults=True):
    """``protocol`` is the one both know, ``run`` the id of the run."""

    protocol: int
    run: str


class Refused(Struct, tag="refused", omit_defaults=True):
    """``reason`` is one line for the user."""

    reason: str


Greeting = Union[Hello, Welcome, Refused]  # noqa: UP007 - msgspec reads the union at run time

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Greeting] = msgspec.msgpack.Decoder(Greeting)


def pack(greeting: Greeting) -> bytes:
    return sealed(_encoder.encode(greeting))


def unpack(data: bytes | bytearray, at: int = 0) -> tuple[Greeting, int]:
    """The greeting at ``at`` and the offset behind it. Raises EOFError if it is not whole, FrameError if it is none."""
    payload, end = opened(data, at)
    try:
        return _decoder.decode(payload), end
    except msgspec.DecodeError as error:
        raise FrameError(f"no greeting: {error}") from None
