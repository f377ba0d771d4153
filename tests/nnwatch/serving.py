"""A session that grows, the server that shows it, and a line to it that can be cut."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnwatch.client import SocketSource
from nnwatch.frame import Commit, Event, Run
from nnwatch.history import History
from nnwatch.listen import UnixDoor
from nnwatch.server import Server
from nnwatch.session import Reader, Writer

from .doors import until

TOKEN = "a-token-of-a-test-only"


def event(number):
    return Event(str(number), 0.0, data={"text": "x" * 50})


def numbers(found):
    return [int(frame.name) for frame in found if isinstance(frame, Event)]


class Job:
    """A session that grows, its server, and the thread that turns it."""

    def __init__(self, folder: Path) -> None:
        self.session, self.path = folder / "a.nnw", folder / "a.sock"
        self.writer = Writer(self.session)
        self.history = History()
        self.ready = selectors.DefaultSelector()
        self.count = 1
        self.writer.append([Run("a", "id", "h", [], "", "", 0.0)], Commit(0.0))
        self.server = self._server()
        self._stop = False
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def _server(self):
        reader = Reader(self.session)
        for frame in reader.read():
            self.history.apply(frame)
        reader.close()
        server = Server(self.session, "id", reader.number, self.writer.end, self.ready, self.history)
        server.listen(UnixDoor(self.path))
        return server

    def _turn(self) -> None:
        while not self._stop:
            with self.lock:
                for key, mask in self.ready.select(0.005):
                    key.data(mask)
            time.sleep(0.0005)

    def grow(self, by: int) -> None:
        self.append([event(self.count + i) for i in range(by)])
        self.count += by

    def append(self, new: list[Any]) -> None:
        """One flush."""
        with self.lock:
            before = self.writer.number
            self.writer.append(new, Commit(0.0))
            for frame in new:
                self.history.apply(frame)
            self.server.advance(self.writer.number - before, self.writer.end)

    def restart(self) -> None:
        """As when the monitor dies and the next one takes over."""
        with self.lock:
            self.server.close()
            self.server = self._server()

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self.server.close()
        self.writer.close()


class Line:
    """A way to a port that can be cut, and counts the bytes that came back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.bytes = 0
        self._open: list[socket.socket] = []
        self._dead: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            self._open += [near, far]
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(1 << 14):
                if source in self._dead:
                    continue
                sink.sendall(data)
                self.bytes += len(data) * counted
        except OSError:
            pass

    def die(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._dead |= set(self._open)

    def cut(self) -> None:
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


def lost(source):
    return until(lambda: source.read() == [] and source.lost)


def seen(source: SocketSource, done: Callable[[History], Any], known: History | None = None) -> Any:
    """What the viewer knows (a History) once ``done`` says it is enough."""
    known = known or History()

    def more():
        for frame in source.read():
            known.apply(frame)
        return done(known)

    until(more)
    return known
