"""Malformed connections and frames: what they are made of, and a server that has to survive them.

Half of them are real messages that were broken (cut, flipped, doubled, joined, lengths and counts turned into lies),
the other half bytes of no meaning; the seed says which.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import struct
from pathlib import Path

from nnwatch import wire
from nnwatch.frame import Block, Commit, Event, FieldSpec, Frame, Run, Schema, Segment, Stretch, pack, unpack
from nnwatch.history import History
from nnwatch.parser import Parser
from nnwatch.seal import FrameError, sealed
from nnwatch.server import Server
from nnwatch.session import Reader, Writer

TOKEN = "the-token-of-the-fuzzer"
_STEPS = struct.pack("<2q", 1, 2)
_NUMBERS = struct.pack("<2d", 1.0, 2.0)
SEEDS: list[bytes] = [
    wire.pack(wire.Hello([1], token=TOKEN)),
    wire.pack(wire.Hello([1, 99], 3, "fuzz", 100_000, TOKEN)),
    wire.pack(wire.Hello([1], token=TOKEN)) + wire.pack(wire.Fetch(0, 0, 1, 2)),
    wire.pack(wire.Fetch(0, 0, -(2**63), 2**63 - 1)),
    wire.pack(wire.Join([1], "other", "host", 0.0, 1, TOKEN)),
    wire.pack(wire.Welcome(1, "fuzz", 5, 10)),
    wire.pack(wire.Refused("no")),
    pack(Run("a", "fuzz", "h", [], "", "", 0.0)),
    wire.pack(wire.Hello([1], token=TOKEN)) + wire.pack(wire.Bye()),
    pack(Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("grad.norm", 3, 1)])),
    pack(Block(1, 0, 0, 2, _STEPS, _NUMBERS, bytes(32))),
    pack(Stretch(0, 0, 1, 2, 1, [FieldSpec("loss.train")], 2, _STEPS, _NUMBERS, bytes(8))),
    pack(Event("facts", 0.0, data={"a": [1, {"b": None}], "c": "d" * 50})),
    sealed(b"\x84\xa4type\xa5event\xa4name\xa1x\xa4time\x00\xa4data" + b"\x81\xa1a" * 1300),  # maps in each other
]
_LIES = (0, 1, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def broken(dice: random.Random) -> bytes:
    """One attack."""
    if dice.random() < 0.3:
        return dice.randbytes(dice.choice((0, 1, 3, 12, 100, 5000)))
    data = bytearray(b"".join(dice.choices(SEEDS, k=dice.randint(1, 3))))
    for _ in range(dice.randint(0, 4)):
        at = dice.randrange(len(data) or 1)
        kind = dice.randrange(5)
        if kind == 0 and data:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = dice.randbytes(dice.randint(1, 20))
        elif kind == 3 and len(data) > 12:
            data[4:8] = struct.pack("<I", dice.choice(_LIES))
        else:
            data += data[:at]
    if dice.random() < 0.4:  # a whole frame whose content is broken
        data = bytearray(sealed(bytes(data[12:])))
    return bytes(data)


def parse(data: bytes) -> None:
    """As a viewer and a reader of files do. Raises nothing but what they expect."""
    for unpacked in (unpack, wire.unpack):
        with contextlib.suppress(EOFError, FrameError):
            unpacked(data)
    history, parser = History(), Parser()
    history.apply(Segment(0, 0, 1, 0.0))
    for frame in (*parser.feed(data[: len(data) // 2]), *parser.feed(data[len(data) // 2 :])):
        history.apply(frame)


class Target:
    """A server over a small session, to which attacks are connected without a listener in between."""

    def __init__(self, folder: Path) -> None:
        self.ready = selectors.DefaultSelector()
        writer = Writer(folder / "fuzz.nnw")
        history = History()
        frames: list[Frame] = [
            Run("a", "fuzz", "h", [], "", "", 0.0),
            Segment(0, 0, 1, 0.0),
            Schema(1, "step", [FieldSpec("loss.train")]),
            Block(1, 0, 0, 2, _STEPS, _NUMBERS, bytes(8)),
        ]
        writer.append(frames, Commit(0.0))
        for frame in frames:
            history.apply(frame)
        writer.close()
        reader = Reader(folder / "fuzz.nnw")
        reader.read()
        self.server = Server(folder / "fuzz.nnw", "fuzz", reader.number, reader.offset, self.ready, history)
        reader.close()

    def turn(self) -> None:
        """Serve whoever is ready."""
        while events := self.ready.select(0):
            for key, mask in events:
                if key.fileobj in self.ready.get_map() or key.fd in self.ready.get_map():
                    key.data(mask)
            if not any(mask & selectors.EVENT_READ for _, mask in events):
                break

    def attack(self, *said: bytes, token: str) -> bytes:
        """One connection that says this, part by part, and hangs up; what it was answered."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            self.server.admit(theirs, token)
            for data in said:
                with contextlib.suppress(OSError):
                    ours.send(data)
                self.turn()
            try:
                answer = ours.recv(1 << 20)
            except OSError:
                answer = b""
        self.turn()
        return answer

    def close(self) -> None:
        self.server.close()
        self.ready.close()
