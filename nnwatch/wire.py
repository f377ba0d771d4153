"""What viewer and monitor say to each other beside the session's own frames.

The viewer opens with Hello; the monitor answers Welcome and then sends the frames of the session from ``since``
on, byte for byte as they lie in the file, or Refused. A viewer that is far away asks for an overview: so many bytes
that tell the whole run coarsely come first, then the frames that are written from now on; with Fetch it asks for the
detail of what it looks at. The same framing as a session, other kinds.

The monitor of a further node comes to the first one's with Join; then that one is the viewer (`nodes/`).
"""

from __future__ import annotations

import hmac
from typing import Union

import msgspec
from msgspec import Struct

from .frame import UNREADABLE
from .seal import FrameError, opened, sealed

PROTOCOLS = (1,)
"""Those spoken here. A field that an older side does not know is ignored there, so few changes need a new one."""
HELLO_LIMIT = 4096
"""Longest Hello or Fetch a monitor reads, in bytes."""


class Hello(Struct, tag="hello", omit_defaults=True):
    """``since``: how many frames the viewer has already; ``run``: the run they are from, empty at first.

    ``overview``: about how many bytes an overview may have, 0 for none. ``token``: over TCP. ``names``: it has
    forgotten what the frames before ``since`` declare (labels, schemas, segments) and is told that again.
    """

    protocols: list[int]
    since: int = 0
    run: str = ""
    overview: int = 0
    token: str = ""
    names: bool = False


class Welcome(Struct, tag="welcome", omit_defaults=True):
    """``protocol`` is the newest both know, ``run`` the id of the run.

    ``overview`` bytes of frames that are not counted come next, and then those from number ``since`` on. ``time`` is
    the monitor's clock, seconds since 1970.
    """

    protocol: int
    run: str
    since: int = 0
    overview: int = 0
    time: float = 0.0


class Refused(Struct, tag="refused", omit_defaults=True):
    """``reason`` is one line for the user."""

    reason: str


class Fetch(Struct, tag="fetch", omit_defaults=True):
    """The viewer looks at the steps ``first`` to ``last`` of a track: it is answered with a Stretch of its metrics."""

    segment: int
    rank: int
    first: int
    last: int


class Bye(Struct, tag="bye", omit_defaults=True):
    """The viewer leaves: nobody need wait for it to come back."""


class Join(Struct, tag="join", omit_defaults=True):
    """A node's monitor has come to the first node's: its session is there to be looked at.

    The first one answers Refused, or with a Hello of its own: from then on it is the viewer on this connection.
    ``host``, ``run`` and ``started`` (seconds since 1970) are the node's, ``node`` its number where a launcher gave it
    one, else 0.
    """

    protocols: list[int]
    run: str
    host: str
    started: float
    node: int = 0
    token: str = ""


class Look(Struct, tag="look", omit_defaults=True):
    """The first node wants to know where the ranks of this one are: an event ``stacks`` of its session will say it."""


Message = Union[Hello, Welcome, Refused, Fetch, Bye, Join, Look]  # noqa: UP007 - msgspec reads the union at run time

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def pack(message: Message) -> bytes:
    return sealed(_encoder.encode(message))


def unpack(data: bytes | bytearray, at: int = 0) -> tuple[Message, int]:
    """The message at ``at`` and the offset behind it. Raises EOFError if it is not whole, FrameError if it is none."""
    payload, end = opened(data, at)
    try:
        return _decoder.decode(payload), end
    except UNREADABLE as error:
        raise FrameError(f"no message: {error}") from None


def common(protocols: list[int]) -> int | None:
    """The newest protocol that is spoken here and among ``protocols``."""
    return max(set(PROTOCOLS) & set(protocols), default=None)


def unwelcome(first: Hello | Join, token: str) -> str:
    """Why whoever opens a connection with ``first`` has to leave; "" if it may stay. ``token``: what it has to know."""
    if token and not hmac.compare_digest(token.encode(), first.token.encode("utf-8", "replace")):
        return "the token is missing or is another one; it comes from $NNWATCH_TOKEN or --token-file"
    return "" if common(first.protocols) is not None else misunderstood(first.protocols)


def misunderstood(protocols: list[int]) -> str:
    """One line for a viewer whose protocols are all unknown here."""
    theirs = ", ".join(map(str, protocols[:8])) or "none"
    ours = ", ".join(map(str, PROTOCOLS))
    older = "this viewer's nnwatch is older" if max(protocols, default=0) < min(PROTOCOLS) else "the monitor's is older"
    return f"no protocol in common (viewer {theirs}; monitor {ours}): {older}, update it there"
