"""Frames: what a session is made of, the same bytes on disk and on the wire.

A frame's payload is a msgpack map tagged by its kind (``seal`` holds its bytes together). Unknown fields are ignored
and unknown kinds skipped, so an old reader opens what a newer writer of the same major version made.
"""

from __future__ import annotations

from typing import Any, Literal, Union

import msgspec
from msgspec import Struct

from .retold import Chapter, Columns, Overview, Story
from .seal import opened, sealed

Severity = Literal["info", "watch", "warn", "error", "fatal"]
SEVERITIES: tuple[Severity, ...] = ("info", "watch", "warn", "error", "fatal")
Status = Literal["running", "finished", "failed", "killed", "lost"]


class Run(Struct, tag="run", omit_defaults=True):
    """First frame of every session: what was started, where and when (seconds since 1970)."""

    name: str
    id: str
    host: str
    command: list[str]
    python: str
    cwd: str
    started: float
    headless: bool = True
    producer: str = ""


class Segment(Struct, tag="segment", omit_defaults=True):
    """One uninterrupted training by one process. Steps are keyed (segment, rank, step).

    ``node`` is the number of the node it runs on, 0 for the run's own; ``host`` the name of one that joined.
    """

    segment: int
    rank: int
    pid: int
    time: float
    reason: str = "start"
    first_step: int = 0
    node: int = 0
    host: str = ""


class Labels(Struct, tag="labels", omit_defaults=True):
    """Names along the axis of wide metrics; ``notes`` holds one remark per name (a module's class, a shape)."""

    id: int
    names: list[str]
    notes: list[str] = []


class FieldSpec(Struct, array_like=True):
    """One metric in a block: ``width`` columns named by the label list ``labels`` (0: none)."""

    metric: str
    width: int = 1
    labels: int = 0


class Schema(Struct, tag="schema", omit_defaults=True):
    """Columns of the blocks that carry this id."""

    id: int
    name: str
    fields: list[FieldSpec]


class Block(Struct, tag="block", omit_defaults=True):
    """``count`` records of one schema: int64 steps, float64 times, float32 values column by column."""

    schema: int
    segment: int
    rank: int
    count: int
    steps: bytes
    times: bytes
    values: bytes


class Stretch(Struct, tag="stretch", omit_defaults=True):
    """Records of one track from ``first`` to ``last`` step, in answer to a viewer that is far away.

    On the wire only, never in a file, and not counted: it takes the place of what the viewer had of these metrics
    between these steps. ``every`` 1: all records; else of each so many the smallest, the largest and the last number.
    """

    segment: int
    rank: int
    first: int
    last: int
    every: int
    fields: list[FieldSpec]
    count: int
    steps: bytes
    times: bytes
    values: bytes


class Event(Struct, tag="event", omit_defaults=True):
    """Something that happened once: facts about the script, a probe that failed, the origin of a NaN."""

    name: str
    time: float
    step: int = 0
    segment: int = 0
    rank: int = 0
    data: dict[str, Any] = {}


class Console(Struct, tag="console", omit_defaults=True):
    """Text the script printed on a ``node``, as it came; ``step`` is the last one known then."""

    time: float
    text: str
    step: int = 0
    node: int = 0


class Evidence(Struct, omit_defaults=True):
    """One number that speaks for a finding, against its reference, on the window it was read from."""

    metric: str
    value: float
    reference: float | None = None
    meaning: str = ""
    first_step: int = 0
    last_step: int = 0
    layer: str | None = None


class Remedy(Struct, omit_defaults=True):
    """One change to make: what, present value to new value, and the number that will show it worked."""

    title: str
    change: str
    expect: str


class Finding(Struct, tag="finding", omit_defaults=True):
    """The state of one finding; the newest frame with the same ``id`` stands."""

    id: int
    rule: str
    title: str
    kind: Literal["invariant", "statistical", "fact"]
    severity: Severity
    status: Literal["open", "resolved"]
    first_step: int
    last_step: int
    first_time: float
    last_time: float
    what: str
    why: str
    segment: int = 0
    rank: int = 0
    layer: str | None = None
    primary: bool = False
    explained_by: int | None = None
    evidence: list[Evidence] = []
    remedies: list[Remedy] = []
    otherwise: str = ""
    """What to try if the remedies do not help."""
    confidence: float = 0.0
    """How far the evidence is beyond its references, 0 to 1; it goes with the numbers, never instead of them."""


class Judgement(Struct, tag="judgement", omit_defaults=True):
    """Which rules could judge at this step, and why the others could not.

    In a session it names only the rules for which that changed since the last judgement of its segment and rank:
    reasons hold numbers that move, and all rules at each would be half of a short session. A ``History`` adds the rest.
    """

    step: int
    segment: int
    rank: int
    judged: list[str]
    abstained: dict[str, str]


class Commit(Struct, tag="commit", omit_defaults=True):
    """Ends a flush: everything before it was read from the rings up to these cursors (position, sequence).

    ``chapter`` is the byte at which the newest Chapter begins, 0 while there is none.
    """

    time: float
    cursors: dict[str, tuple[int, int]] = {}
    dropped: int = 0
    chapter: int = 0


class End(Struct, tag="end", omit_defaults=True):
    """How the job ended. Last frame of a session, unless the monitor was killed with it."""

    time: float
    status: Status
    exit: int | None = None
    signal: int | None = None
    cause: str = ""


Frame = Union[  # noqa: UP007 - msgspec reads the union at run time
    Run, Segment, Labels, Schema, Block, Stretch, Event, Console, Finding, Judgement, Commit, End,
    Story, Columns, Overview, Chapter
]  # fmt: skip
RETOLD = (Story, Columns, Overview, Chapter)
"""Kinds that say nothing new: who reads all other frames in order skips them."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that do not fit, keys that are no text, and a thousand maps in each other."""


def pack(frame: Frame) -> bytes:
    """The frame's bytes, head included."""
    return sealed(_encoder.encode(frame))


def unpack(data: bytes | bytearray | memoryview, at: int = 0) -> tuple[Frame | None, int]:
    """The frame that begins at ``at`` and the offset behind it.

    A frame of an unknown kind, or one whose fields do not fit, comes back as None (skipped, not an error).
    Raises what ``opened`` raises.
    """
    payload, end = opened(data, at)
    try:
        return _decoder.decode(payload), end
    except UNREADABLE:
        return None, end
