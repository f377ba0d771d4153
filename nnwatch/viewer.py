"""Who looks at a session through the server."""

from __future__ import annotations

import socket
import time
from typing import Protocol

from . import wire


class Caller(Protocol):
    """Who made the connection, where it was made from here: the first node's monitor looks at this one's session."""

    def welcomed(self) -> None:
        """It looks now."""

    def asked(self) -> None:
        """It wants to know where the ranks of this node are."""

    def left(self, refused: str) -> None:
        """The connection is gone; ``refused`` is its reason if it does not want to look at all."""


class Viewer:
    """One connection: a cursor on the session file, and what was said on it."""

    def __init__(self, connection: socket.socket, token: str, caller: Caller | None) -> None:
        self.socket = connection
        self.token = token
        """What it has to say; "" where the file system decides who may connect."""
        self.caller = caller
        self.heard = bytearray()
        self.answer = memoryview(b"")  # still to be sent, before more of the file
        self.offset = -1  # into the file; -1 before its Hello
        self.refused = False
        self.left = False
        self.fetch: wire.Fetch | None = None
        self.fetched = 0.0
        self.progress = time.monotonic()
