"""Opens a run to viewers: its socket, and a port if one is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .card import Card
from .listen import Address, TcpDoor, UnixDoor
from .server import Server


def open_doors(
    server: Server, card: Card, job: Path, listen: dict[str, Any] | None, notice: Callable[[str], None]
) -> None:
    """``listen`` is the port that was asked for; ``notice`` hears what cannot be opened, and how far viewers attach.

    Without a socket viewers read the session file.
    """
    before, card.listen = card.listen, ""
    try:
        if not card.socket:
            raise PermissionError("no folder for it belongs to this user alone")
        server.listen(UnixDoor(Path(card.socket)))
    except OSError as error:
        notice(f"no socket {card.socket} ({error}): viewers read the session file instead")
    if listen is None:
        return
    wanted = Address(listen["host"], listen["port"] or int(before.rpartition(":")[2] or 0))
    door = TcpDoor(wanted, (job / "token").read_text())
    try:
        server.listen(door)
    except OSError as error:
        notice(f"no viewers over {wanted}: {error.strerror or error}")
        return
    card.listen = str(door.address)
    if not before:
        token = "" if listen["given"] else f" --token-file {job / 'token'}"
        notice(f"far viewers: nnwatch attach {card.listen}{token}")
