"""How a viewer gets a connection to a run: its socket here, a TCP port, or the system's ssh to where it runs.

Each is a callable that returns a connected stream socket and may be called again when that broke; it raises OSError
with one line for the user.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from .errors import RunError

_SECONDS = 5.0
_LOGIN = 30.0


class Dial(Protocol):
    where: str
    """What is dialled, for the user."""
    far: bool
    """Whether the way there may be slow: an overview is asked for first."""

    def __call__(self) -> socket.socket: ...

    def why(self) -> str:
        """What the way itself has said since the last call, "" if nothing."""

    def close(self) -> None: ...


class Unix:
    """The socket of a run on this machine."""

    far = False

    def __init__(self, path: str) -> None:
        self.where = path

    def __call__(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(1.0)
            connection.connect(self.where)
        except BaseException:
            connection.close()
            raise
        return connection

    def why(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing is held."""


class Tcp:
    """``tcp://host:port``. Raises RunError if it is none."""

    far = True

    def __init__(self, url: str) -> None:
        self.where = url
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = None
        if not parts.hostname or not port or parts.path.strip("/"):
            raise RunError(f"{url}: no address of a run; write tcp://HOST:PORT")
        self._address = parts.hostname, port

    def __call__(self) -> socket.socket:
        return socket.create_connection(self._address, _SECONDS)

    def why(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing is held."""


class Ssh:
    """``ssh://user@host:port/RUN``: `nnwatch relay RUN` there, over the system's ssh with all that it is set up for.

    ``remote``: the nnwatch of that machine. Questions (a password, a new host key) are asked on the terminal the first
    time only. Raises RunError if the address is none.
    """

    far = True

    def __init__(self, url: str, remote: str = "nnwatch") -> None:
        self.where = url
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        host, user = parts.hostname, parts.username
        if not host or port == -1 or host.startswith("-") or (user or "").startswith("-") or parts.password:
            raise RunError(f"{url}: no address of a run; write ssh://USER@HOST/RUN")
        run = unquote(parts.path.removeprefix("/"))
        # A login shell: that is where people put the folder of their programs on PATH.
        asked = f"exec {remote} relay {shlex.quote(run)}" if run else f"exec {remote} relay"
        self._command = ["ssh", "-T", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"]
        self._command += ["-o", "ConnectTimeout=10"]
        self._command += ["-p", str(port)] if port else []
        self._target = [f"{user}@{host}" if user else host, f"exec $SHELL -lc {shlex.quote(asked)}"]
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection

    def __call__(self) -> socket.socket:
        again = self._process is not None
        self._end()
        ours, theirs = socket.socketpair()
        quiet = ["-o", "BatchMode=yes"] if again else []
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*self._command, *quiet, *self._target],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._said,
                )
        except OSError as error:
            ours.close()
            raise OSError(error.errno, f"ssh cannot be started: {error.strerror}") from None
        ours.settimeout(_LOGIN if again else None)  # the first time somebody may be typing a password
        return ours

    def why(self) -> str:
        self._said.seek(0)
        lines = self._said.read(1 << 16).decode("utf-8", "replace").split("\n")
        self._said.seek(0)
        self._said.truncate()
        said = [line.strip() for line in lines if line.strip()]
        told = [line for line in said if line.startswith("nnwatch: ")] or said
        text = told[-1].removeprefix("nnwatch: ") if told else ""
        return "".join(letter if letter.isprintable() else " " for letter in text)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self._end()
        self._said.close()


def far(url: str, remote: str = "nnwatch") -> Dial | None:
    """How ``url`` is reached; None for anything that names a run here. Raises RunError."""
    if url.startswith("tcp://"):
        return Tcp(url)
    if url.startswith("ssh://"):
        return Ssh(url, remote)
    return None
