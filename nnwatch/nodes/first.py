"""The first node's monitor: it takes in the sessions of all others."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

from .. import wire
from ..frame import Frame
from ..recorder import Recorder
from .line import START, Cursor, Line
from .node import Node
from .role import Role

_CURSOR = "node:"
"""What the names of their cursors begin with in a Commit."""
_RETURN = 10.0
"""Seconds for which a node that was cut off is waited for at the end."""


class First(Role):
    """All nodes of the job but this one. It goes on behind the recorder's last Commit."""

    def __init__(self, recorder: Recorder, ready: selectors.BaseSelector) -> None:
        self._recorder = recorder
        self._ready = ready
        self._nodes: dict[str, Node] = {}
        cursors = recorder.commit.cursors
        for event in recorder.history.events:
            if event.name == "node" and event.data["state"] == "joined":
                told = event.data
                node = Node(told["node"], told["host"], told["run"], told["started"], recorder.ids)
                node.known(told["ahead"], cursors.get(_CURSOR + node.run, START))
                self._nodes[node.run] = node
            elif event.name == "node" and event.data["state"] == "ended":
                self._nodes[event.data["run"]].ended = True

    def join(self, connection: socket.socket, join: wire.Join) -> str:
        """A node's monitor has come. Why it cannot join, "" if it does."""
        run = self._recorder.history.run
        if run is not None and run.id == join.run:
            return "it is this very run: the first node does not join itself"
        if self._recorder.history.end is not None:
            return "the run of the first node has ended"
        node = self._nodes.get(join.run)
        if node is None:
            host = "".join(letter if letter.isprintable() else "?" for letter in join.host[:64]) or "?"
            number = self._number(join.node)
            node = self._nodes[join.run] = Node(number, host, join.run, join.started, self._recorder.ids)
        elif node.line is not None:
            node.line.close("it came again")  # what came over it and was not taken comes again
        node.line = Line(connection, join.run, node.cursor, self._ready)
        return ""

    def _number(self, wanted: int) -> int:
        """The number that a launcher gave the node, else the lowest that is free."""
        taken = {0} | {node.number for node in self._nodes.values() if node.present}
        if wanted > 0 and wanted not in taken:
            return wanted
        taken |= {node.number for node in self._nodes.values()}
        return next(number for number in range(1, len(taken) + 1) if number not in taken)

    def read(self, now: float) -> Iterator[Frame]:
        step = self._recorder.history.last_step
        for node in sorted(self._nodes.values(), key=lambda node: node.number):
            yield from node.read(now, step)

    @property
    def cursors(self) -> dict[str, Cursor]:
        return {_CURSOR + node.run: node.cursor for node in self._nodes.values()}

    @property
    def awaited(self) -> bool:
        return any(not node.ended and node.silent < _RETURN for node in self._nodes.values())

    def close(self) -> None:
        for node in self._nodes.values():
            if node.line is not None:
                node.line.close("the run has ended")
