"""The first node's monitor: it takes in the sessions of all others."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from typing import Any

from .. import wire
from ..frame import Event, Frame
from ..recorder import Recorder
from .folder import Folder
from .line import START, Cursor, Line
from .node import Node
from .role import Role
from .tail import Tail

_CURSOR = "node:"
"""What the names of their cursors begin with in a Commit."""
_RETURN = 10.0
"""Seconds for which a node that was cut off is waited for at the end."""


class First(Role):
    """All nodes of the job but this one. It goes on behind the recorder's last Commit.

    They come by ``join``, or lie in the shared ``folder``, which also knows whether this is the first one.
    """

    def __init__(self, recorder: Recorder, ready: selectors.BaseSelector, folder: Folder | None) -> None:
        self._recorder = recorder
        self._ready = ready
        self._folder = folder
        self._nodes: dict[str, Node] = {}
        self._taken_in = ""  # the run that takes this one in, once it was told
        cursors = recorder.commit.cursors
        for told in (event.data for event in recorder.history.events if event.name == "node"):
            if told["state"] == "joined" and told["node"] == 0:
                self._taken_in = str(told.get("run", ""))
            elif told["state"] == "joined":
                node = Node(told["node"], told["host"], told["run"], told["started"], recorder.ids)
                node.known(told["ahead"], cursors.get(_CURSOR + node.run, START))
                self._nodes[node.run] = node
            elif told["state"] == "ended":
                self._nodes[told["run"]].ended = True

    def join(self, connection: socket.socket, join: wire.Join) -> str:
        """A node's monitor has come. Why it cannot join, "" if it does."""
        run = self._recorder.history.run
        if run is not None and run.id == join.run:
            return "it is this very run: the first node does not join itself"
        if self._recorder.history.end is not None:
            return "the run of the first node has ended"
        node = self._node(join.run, join.host, join.started, join.node)
        if node.line is not None:
            node.line.close("it came again")  # what came over it and was not taken comes again
        node.line = Line(connection, join.run, node.cursor, self._ready)
        return ""

    def _node(self, run: str, host: str, started: float, number: int) -> Node:
        node = self._nodes.get(run)
        if node is None:
            host = "".join(letter if letter.isprintable() else "?" for letter in host[:64]) or "?"
            node = self._nodes[run] = Node(self._number(number), host, run, started, self._recorder.ids)
        return node

    def _look(self, folder: Folder) -> None:
        """For nodes whose files lie in the folder, and to which there is no better way."""
        for card in folder.others():
            node = self._node(card.id, card.host, card.started, card.node)
            if not (node.present or isinstance(node.line, Tail)):
                node.line = Tail(card.id, card.session, node.cursor)

    def _let_go(self) -> None:
        """Another node is the first: its card came late. It takes in those that were found in the folder until then."""
        for run, node in list(self._nodes.items()):
            if isinstance(node.line, Tail):
                del self._nodes[run]

    def _number(self, wanted: int) -> int:
        """The number that a launcher gave the node, else the lowest that is free."""
        taken = {0} | {node.number for node in self._nodes.values() if node.present}
        if wanted > 0 and wanted not in taken:
            return wanted
        taken |= {node.number for node in self._nodes.values()}
        return next(number for number in range(1, len(taken) + 1) if number not in taken)

    def read(self, now: float) -> Iterator[Frame]:
        step = self._recorder.history.last_step
        if self._folder is not None:
            self._look(self._folder)
            first = self._folder.first
            if first.id != self._folder.own.id and first.id != self._taken_in:
                self._taken_in = first.id
                self._let_go()
                text = f"the session of the whole job is that of {first.name} on {first.host}, by the shared folder"
                data = {"state": "joined", "node": 0, "host": first.host, "run": first.id, "text": text}
                yield Event("node", now, step, data=data)
        for node in sorted(self._nodes.values(), key=lambda node: node.number):
            yield from node.read(now, step)

    def look(self) -> None:
        for node in self._nodes.values():
            node.look()

    @property
    def looking(self) -> bool:
        return any(node.looking and node.present and not node.stacks for node in self._nodes.values())

    @property
    def seen(self) -> dict[str, Any]:
        return {rank: one for node in self._nodes.values() if node.looking for rank, one in node.stacks.items()}

    @property
    def cursors(self) -> dict[str, Cursor]:
        return {_CURSOR + node.run: node.cursor for node in self._nodes.values()}

    @property
    def awaited(self) -> bool:
        return any(not node.ended and node.silent < _RETURN for node in self._nodes.values())

    def leave(self, now: float) -> Iterator[Frame]:
        history = self._recorder.history
        for node in sorted(self._nodes.values(), key=lambda node: node.number):
            steps = [track.last_step for track in history.tracks.values() if track.segment.node == node.number]
            yield from node.leave(now, history.last_step, max(steps, default=0))

    def close(self) -> None:
        for node in self._nodes.values():
            if node.line is not None:
                node.line.close("the run has ended")
