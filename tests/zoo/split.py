"""Takes one training out of the session of several: its segment becomes a session of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from nnwatch.frame import Block, End, Event, Frame, Labels, Run, Schema, Segment, Status
from nnwatch.history import unpacked


class Ran(NamedTuple):
    """One process of a job: from when to when (seconds since 1970), and its exit code, minus a signal."""

    pid: int
    began: float
    ended: float
    code: int


def of_process(frames: Sequence[Frame], ran: Ran) -> list[Frame]:
    """The frames of a session of that process alone; its segments are counted from 0. Findings are left out."""
    mine = [frame for frame in frames if isinstance(frame, Segment) and frame.pid == ran.pid]
    number = {segment.segment: i for i, segment in enumerate(mine)}
    kept = list(_kept(frames, number, ran))
    used = {frame.schema for frame in kept if isinstance(frame, Block)}
    labels = {f.labels for frame in frames if isinstance(frame, Schema) and frame.id in used for f in frame.fields}
    needed: dict[type, set[int]] = {Schema: used, Labels: labels}
    out = [f for f in kept if not isinstance(f, Schema | Labels) or f.id in needed[type(f)]]
    status: Status = "finished" if ran.code == 0 else "failed" if ran.code > 0 else "killed"
    exit, signal = (ran.code, None) if ran.code >= 0 else (None, -ran.code)
    return [*out, End(ran.ended, status, exit=exit, signal=signal)]


def _kept(frames: Iterable[Frame], number: dict[int, int], ran: Ran) -> Iterator[Frame]:
    schemas: dict[int, Schema] = {}
    for frame in frames:
        match frame:
            case Run():
                yield replace(frame, started=ran.began)
            case Schema():
                schemas[frame.id] = frame
                yield frame
            case Labels():
                yield frame
            case Segment() if frame.segment in number:
                yield replace(frame, segment=number[frame.segment])
            case Event() if frame.segment in number and frame.time <= ran.ended + 1:
                yield replace(frame, segment=number[frame.segment])
            case Block() if schemas[frame.schema].name == "system":
                yield from _between(frame, schemas[frame.schema], ran)
            case Block() if frame.segment in number:
                yield replace(frame, segment=number[frame.segment])


def _between(block: Block, schema: Schema, ran: Ran) -> Iterator[Block]:
    """The samples of the machine that were taken while the process ran; their steps are those of a whole job."""
    records = unpacked(block, schema)
    if records is None:
        return
    steps, times, values = records
    here = (times >= ran.began) & (times <= ran.ended)
    if here.any():
        columns = np.ascontiguousarray(values[here].T)
        yield replace(
            block,
            count=int(here.sum()),
            steps=steps[here].tobytes(),
            times=times[here].tobytes(),
            values=columns.tobytes(),
        )
