"""Which node is the first: the one whose address was given to all of them."""

from __future__ import annotations

import selectors
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from .. import wire
from ..card import Card
from ..listen import Address, TcpDoor
from ..recorder import Recorder
from ..server import Server
from .first import First
from .folder import Folder
from .link import Link
from .role import Role


def role(
    options: dict[str, Any],
    card: Card,
    job: Path,
    recorder: Recorder,
    server: Server | None,
    ready: selectors.BaseSelector,
) -> Role:
    """What this monitor is to the others. The first node is the one that can listen at the address they all join;
    without one, the first of those whose sessions lie in one folder."""
    wanted = options["join"]
    folder = Folder(card) if card.group else None
    if wanted is None or server is None:
        return First(recorder, ready, folder) if folder is not None else Role()
    address, token = Address(wanted["host"], wanted["port"]), (job / "token").read_text()
    if not card.joins and (listens := _listening(server, address, token)):
        card.listen = card.listen or listens
        first = First(recorder, ready, folder)
        server.join = first.join
        return first
    card.joins = str(address)
    join = wire.Join([*wire.PROTOCOLS], card.id, card.host, card.started, card.node, token)
    told = [str(event.data["state"]) for event in recorder.history.events if event.name == "node"]
    return Link(address, join, job, server, ready, told)


def _listening(server: Server, address: Address, token: str) -> str:
    """Where this machine listens for the others; "" if the address is another's, or taken."""
    try:
        door = TcpDoor(_reachable(address), token)
        server.listen(door)
    except OSError:
        return ""
    return str(door.address)


def _reachable(address: Address) -> Address:
    """Where to listen so that other machines can come: many a machine calls itself by a name for its loopback."""
    [(*_, where), *_] = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    literal = address.host == "localhost" or address.host == where[0]
    return address if literal or not ip_address(where[0]).is_loopback else Address("", address.port)
