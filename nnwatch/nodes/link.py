"""A further node's monitor: it goes to the first one's and shows its session there. Nothing here waits."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import stacks, wire
from ..frame import Event, Frame
from ..listen import Address
from ..server import Server
from .role import Role

_PATIENCE = 5.0
"""Seconds without a connection after which it is told, once until it is there again."""
_SOON, _LATE = 0.5, 10.0
"""Seconds until it is tried again: at first, and at most."""
_ANSWER = 10.0
"""Seconds within which a connection is there, or counts as failed; the same for what was sent and is not received."""


class Link(Role):
    """Shows the session of ``server`` at ``address``, where it introduces itself with ``join``.

    ``told`` is what an earlier monitor has told of it. What the first one asks for is asked of the monitor of ``job``.
    """

    def __init__(
        self,
        address: Address,
        join: wire.Join,
        job: Path,
        server: Server,
        ready: selectors.BaseSelector,
        told: Sequence[str],
    ) -> None:
        self._address = address
        self._job = job
        self._join = join
        self._server = server
        self._ready = ready
        self._socket: socket.socket | None = None  # while it is being made
        self._shown = False
        self._been = "joined" in told
        self._refused = ""
        self._why = "no answer"
        self._alone_since = self._due = time.monotonic()
        self._pause = _SOON
        self._told = told[-1] if told else ""

    def read(self, now: float) -> Iterator[Frame]:
        """Dials where it is due, and tells what became of it."""
        self._dial()
        state = self._state()
        if state and state != self._told:
            again, self._told = bool(self._told), state
            data = {"state": state, "node": 0, "host": self._address.host, "text": self._text(state, again)}
            yield Event("node", now, data=data)

    def _state(self) -> str:
        """What there is to tell; "" while that is too early."""
        if self._refused:
            return "refused"
        if not self._shown and time.monotonic() - self._alone_since > _PATIENCE:
            return "cut"
        return "joined" if self._been else ""

    def _text(self, state: str, again: bool) -> str:
        first = f"the first node at {self._address}"
        if state == "refused":
            return f"{first} does not take this node: {self._refused}; it is recorded here alone"
        if state == "joined":
            return f"{first} is there again, and gets what it missed" if again else f"joined {first}"
        return f"{first} does not answer ({self._why}): this node is recorded here, and shown there once it does"

    def _dial(self) -> None:
        now = time.monotonic()
        if self._socket is not None and now - self._due > _ANSWER:
            self._fail("no answer")
        if self._refused or self._shown or self._socket is not None or now < self._due:
            return
        self._due = now
        try:
            [(family, *_, where), *_] = socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM)
            self._socket = socket.socket(family)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1e3 * _ANSWER))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            with contextlib.suppress(BlockingIOError):
                self._socket.connect(where)
            self._ready.register(self._socket, selectors.EVENT_WRITE, self._answered)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _answered(self, _: int) -> None:
        """There is a connection, or there is none."""
        made = self._socket
        assert made is not None
        try:
            if code := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code))
            made.send(wire.pack(self._join))
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        self._ready.unregister(made)
        self._socket = None
        self._why = "it hung up: is an nnwatch of this version there?"
        self._due = time.monotonic() + self._pause + _ANSWER  # unless it is left before
        self._server.admit(made, caller=self)

    def _fail(self, why: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._ready.unregister(self._socket)
            self._socket.close()
            self._socket = None
        self._why = why
        self._again()

    def _again(self) -> None:
        self._due = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LATE)

    def welcomed(self) -> None:
        self._shown = self._been = True
        self._pause = _SOON

    def asked(self) -> None:
        stacks.request(self._job)

    def left(self, refused: str) -> None:
        if self._shown:
            self._shown, self._alone_since = False, time.monotonic()
            self._why = "the connection broke"
        self._refused = refused
        self._again()

    def owed(self) -> bool:
        self._dial()
        return self._been and not self._refused and (not self._shown or self._server.behind)

    def close(self) -> None:
        if self._socket is not None:
            self._fail("")
