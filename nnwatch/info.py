"""What a session file holds, byte by byte: ``report --info`` and ``report --verify``."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from .archive import Archive
from .errors import RunError
from .frame import Block, Commit, End, Event, Frame, Run, Schema, Segment
from .history import MACHINE
from .parser import PRELUDE, SessionError, check, pieces
from .retold import Chapter, Columns
from .seal import FrameError


class Inventory:
    """All that one reading of the file found.

    ``kinds`` and ``bytes`` count frames and their bytes by kind, ``records`` the records of each (schema, metric),
    ``chapters`` those that a reader finds from the end of the file.
    ``flaws`` are lines for the user, each with the byte it begins at; the end of a file that is still ``growing``
    may be torn. Raises RunError for a file that is no session.
    """

    def __init__(self, path: str, *, growing: bool) -> None:
        self.path = path
        self.run: Run | None = None
        self.end: End | None = None
        self.segments: list[Segment] = []
        self.last_step = 0
        self.kinds: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.records: Counter[tuple[str, str]] = Counter()
        self.first_time, self.last_time = float("inf"), 0.0
        self.flaws: list[str] = []
        self.chapters = 0
        self._schemas: dict[int, Schema] = {}
        self._untold = 0  # records since the last chapter, less those that are told again
        try:
            data = Path(path).read_bytes()
            self.version = check(Path(path), data)
        except SessionError as error:
            raise RunError(str(error)) from None
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror}") from None
        whole = len(PRELUDE)
        for start, end, frame in pieces(data, whole):
            whole = end
            if isinstance(frame, FrameError):
                self.flaws.append(f"byte {start}: damaged up to byte {end}, what was there is left out")
                continue
            if not self.kinds and not isinstance(frame, Run):
                self.flaws.append(f"byte {start}: the first whole frame is not the run's")
            kind = type(frame).__name__.lower() if frame is not None else "unknown"
            self.kinds[kind] += 1
            self.bytes[kind] += end - start
            if frame is not None and (flaw := self._take(frame)):
                self.flaws.append(f"byte {start}: {flaw}")
            if isinstance(frame, Chapter):
                self._chapter(start)
        self.size = len(data)
        self._row(self.size)
        self.torn = self.size - whole
        if self.torn and not growing:
            self.flaws.append(f"byte {whole}: cut off or damaged from here on, {self.torn} bytes to the end")

    @property
    def frames(self) -> int:
        return self.kinds.total()

    def _take(self, frame: Frame) -> str | None:
        """Count a frame; what is wrong with it, if it is whole but says what cannot be."""
        match frame:
            case Run():
                self.run = frame
                self._at(frame.started)
            case End():
                self.end = frame
                self._at(frame.time)
            case Commit() | Event():
                self._at(frame.time)
            case Segment():
                self.segments.append(frame)
            case Schema():
                self._schemas[frame.id] = frame
            case Block():
                self._untold += frame.count
                return self._block(frame)
            case Columns():
                self._untold -= frame.count
        return None

    def _chapter(self, start: int) -> None:
        if self._untold and not self.flaws:  # of damaged frames it may tell more than is left of them
            told = f"{-self._untold} records too many" if self._untold < 0 else f"{self._untold} records too few"
            self.flaws.append(f"byte {start}: a chapter tells {told}")
        self._untold = 0

    def _row(self, size: int) -> None:
        """Follow the chapters from the end of the file."""
        with open(self.path, "rb") as file:
            archive = Archive(file.fileno(), size)
            last = archive.newest
            for at, chapter in archive.chapters():
                self.chapters += 1
                last = chapter.previous
                if archive.told(chapter) is None:
                    self.flaws.append(f"byte {at}: this chapter cannot be read, the frames it tells again stand for it")
        if last:
            self.flaws.append(f"byte {last}: no chapter is here, what is before it is read frame by frame")

    def _at(self, moment: float) -> None:
        self.first_time = min(self.first_time, moment)
        self.last_time = max(self.last_time, moment)

    def _block(self, block: Block) -> str | None:
        schema = self._schemas.get(block.schema)
        if schema is None:
            return f"{block.count} records of schema {block.schema}, which is not there"
        width = sum(field.width for field in schema.fields)
        sizes = (len(block.steps), len(block.times), len(block.values))
        if sizes != (8 * block.count, 8 * block.count, 4 * width * block.count):
            return f"{block.count} records of schema {schema.name!r} do not fill {sum(sizes)} bytes"
        trained = schema.name not in ("system", MACHINE)
        if trained and (block.segment, block.rank) not in {(s.segment, s.rank) for s in self.segments}:
            return f"{block.count} records of segment {block.segment}, rank {block.rank}, which is not there"
        if block.count:
            self.last_step = max(self.last_step, max(memoryview(block.steps).cast("q")))
        for field in schema.fields:
            self.records[schema.name, field.metric] += block.count
        return None


def info(about: Inventory) -> str:
    """The inventory as a person reads it."""
    run, end = about.run, about.end
    lines = [
        f"session   {about.path}, {about.size:,} bytes",
        f"format    {about.version[0]}.{about.version[1]}, by {(run and run.producer) or 'an unknown producer'}",
        f"run       {run.name if run else 'unknown'}, {end.status if end else 'no end recorded'}",
        f"first     {_moment(about.first_time)}",
        f"last      {_moment(about.last_time)}",
        f"steps     {about.last_step:,}",
        f"segments  {len({s.segment for s in about.segments})}, ranks {len({s.rank for s in about.segments})}",
        f"chapters  {about.chapters:,}",
        f"torn      {f'{about.torn} bytes at the end' if about.torn else 'no'}",
        "",
        f"{'frames':12}{'count':>10}{'bytes':>14}",
        *(f"  {kind:10}{count:>10,}{about.bytes[kind]:>14,}" for kind, count in about.kinds.most_common()),
        "",
        f"{'metrics':36}{'records':>10}",
        *(f"  {schema:9} {metric:24}{n:>10,}" for (schema, metric), n in sorted(about.records.items())),
    ]
    return "\n".join(lines) + "\n"


def verified(about: Inventory) -> str:
    """One line, for a file without a flaw."""
    end = "" if about.end is not None else ", the run's end is not among them"
    return f"whole: {about.frames:,} frames{end}\n"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if 0 < seconds < 1e11 else "unknown"
