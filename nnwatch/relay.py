"""`nnwatch relay`: what `nnwatch attach ssh://HOST/RUN` starts over there. A run's socket on standard input and output.

A run whose monitor cannot be reached from there (it is over, or on another machine that shares the folder) is shown
from its file in the same way.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from pathlib import Path
from threading import Thread

from .card import Card
from .dial import Unix
from .errors import RunError
from .history import History
from .parser import SessionError
from .server import Server
from .session import Reader

_CHUNK = 1 << 16
_LOOK = 0.2
"""Seconds between two looks at a file that may grow."""


def relay(card: Card) -> int:
    """Until the viewer or the run is gone. Raises RunError."""
    connection = _connection(card)
    Thread(target=_forward, args=(connection,), daemon=True).start()
    with contextlib.suppress(OSError):  # the viewer is gone
        while data := connection.recv(_CHUNK):
            while data:
                data = data[os.write(1, data) :]
    return 0


def _forward(connection: socket.socket) -> None:
    """What the viewer says; when it says no more, that is the end."""
    with contextlib.suppress(OSError):
        while data := os.read(0, _CHUNK):
            connection.sendall(data)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _connection(card: Card) -> socket.socket:
    if card.state == "running" and card.socket:
        with contextlib.suppress(OSError):
            connection = Unix(card.socket)()
            connection.settimeout(None)
            return connection
    try:
        reader = Reader(card.session)
    except SessionError as error:
        raise RunError(str(error)) from None
    ours, theirs = socket.socketpair()
    Thread(target=_show, args=(card, reader, theirs), daemon=True).start()
    return ours


def _show(card: Card, reader: Reader, viewer: socket.socket) -> None:
    """Serve one viewer from the file, as a monitor would."""
    history = History()
    for frame in reader.read():
        history.apply(frame)
    ready = selectors.DefaultSelector()
    run = history.run.id if history.run is not None else card.id
    server = Server(Path(card.session), run, reader.number, reader.offset, ready, history)
    server.admit(viewer)
    looked = time.monotonic()
    while server.watched:
        for key, mask in ready.select(_LOOK):
            key.data(mask)
        if time.monotonic() - looked >= _LOOK:
            looked, before = time.monotonic(), reader.number
            for frame in reader.read():
                history.apply(frame)
            server.advance(reader.number - before, reader.offset)
            server.tend()
    server.close()
