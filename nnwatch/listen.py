"""Where viewers knock: a Unix socket for this user alone, and a TCP port only where it was asked for, with a token.

Nothing is encrypted here: for another machine there is ssh (``nnwatch attach ssh://host/RUN``). A TCP port is for where
ssh cannot go; what is sent, the token too, can be read by whoever can listen on the way.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from pathlib import Path
from typing import NamedTuple

from .errors import RunError
from .folders import SOCKET_PATH_LIMIT, private

TOKEN = "NNWATCH_TOKEN"
"""Environment variable that may hold the token."""
_SHORTEST = 16
_BACKLOG = 64
_GONE_MS = 30_000
"""So long may sent data stay unacknowledged before the other machine counts as gone."""


class Address(NamedTuple):
    """``host`` "" is every address of this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        host = self.host or socket.gethostname()
        return f"tcp://[{host}]:{self.port}" if ":" in host else f"tcp://{host}:{self.port}"


def address(text: str) -> Address:
    """``PORT``, ``HOST:PORT`` or ``[IPV6]:PORT``; this machine's loopback where no host is named. Raises RunError."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise RunError(f"{text}: no address to listen on; give PORT or HOST:PORT, such as 127.0.0.1:7007")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    return Address("" if host in ("*", "0.0.0.0", "::") else host, int(port))


def loopback(address: Address) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def given_token(file: str | None) -> str:
    """The token from ``file`` or the environment, "" if there is none. Raises RunError."""
    if file is None:
        token = os.environ.get(TOKEN, "").strip()
        where = f"${TOKEN}"
    else:
        where = file
        try:
            token = Path(file).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise RunError(f"--token-file {file}: cannot be read: {getattr(error, 'strerror', error)}") from None
    if (token or file is not None) and not (len(token) >= _SHORTEST and token.isascii() and token.isprintable()):
        raise RunError(f"{where}: a token has at least {_SHORTEST} printable ASCII characters")
    return token


def new_token() -> str:
    return secrets.token_urlsafe(32)


class UnixDoor:
    """A socket file that only this user may open, in a folder that only this user may enter."""

    token = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = -1

    def open(self) -> socket.socket:
        """Raises OSError."""
        if len(os.fsencode(self._path)) > SOCKET_PATH_LIMIT:
            raise OSError(0, f"a socket path has at most {SOCKET_PATH_LIMIT} bytes")
        private(self._path.parent)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            listener.bind(os.fspath(self._path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
        self._inode = self._path.stat().st_ino
        return listener

    @property
    def there(self) -> bool:
        """Whether viewers still find it: somebody may have removed the file."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def remove(self) -> None:
        if self.there:
            self._path.unlink(missing_ok=True)


class TcpDoor:
    """A port; whoever connects has to say ``token``. ``address`` has the real port once it is open."""

    there = True

    def __init__(self, address: Address, token: str) -> None:
        self.address = address
        self.token = token

    def open(self) -> socket.socket:
        """Raises OSError."""
        host, port = self.address
        if host:
            [(family, *_, where), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        else:
            family, where = socket.AF_INET, ("0.0.0.0", port)
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the next monitor takes it over at once
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_MS)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            listener.bind(where)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self.address = Address(host, listener.getsockname()[1])
        return listener

    def remove(self) -> None:
        """A port leaves nothing behind."""


Door = UnixDoor | TcpDoor
