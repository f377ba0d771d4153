"""The shared-memory ring between one training process and the monitor.

The writer lives in the user's process: it never waits, never starts a thread, and loses nothing that it
published when the process is killed (the pages outlive it). The reader lives in the monitor.

Layout of the file (little endian)::

    0     header, 4,096 bytes: see ``_HEADER``
    4096  catalogue: records that never wrap (schemas, label lists, segment starts), JSON
    ...   ring: records of numbers and events; none crosses the end

A record is ``length u32, schema u32, sequence u64, payload, crc u32``, padded to 8 bytes. The CRC tells a finished
record from a torn or a stale one; it covers the first 16 bytes and the payload's first 1,024. What is longer would take
more time to check than to write: it is written first, and the first 16 bytes after it (see ``Fence``). Schema 0 is an
event (JSON); schema ``PAD`` sends the reader back to the start.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

from .fence import Fence

MAGIC = b"NNWRING1"
PAGE = 4096
EVENT = 0
PAD = 0xFFFFFFFF

_HEADER = struct.Struct("<8sIIQQQ")  # magic, pid, rank + 1 (0: unknown), start ticks, catalogue size, ring size
_RANK, _DROPPED, _TAIL, _CLOSED = 12, 64, 80, 88  # u32, u64, u64, u64 at fixed places of the header
_PLACE_AT = 96  # the writer's own: bytes ever written to the ring, the next sequence number
_HEAD = struct.Struct("<IIQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_ENTRY = struct.Struct("<II")
_PLACE = struct.Struct("<QQ")
_OVERHEAD = _HEAD.size + _U32.size
_CHECKED = 1024
"""Bytes of a payload that the CRC covers: over the whole of a table of 8 kB it would take as long as all else."""
_WHOLE = 0x2144DF1C
"""CRC-32 of anything that is followed by its own CRC-32."""


class RingError(Exception):
    """The file is not a ring, or no room for one could be had."""


class Writer:
    """The training process's end. One thread writes: the one that trains.

    ``size`` is the whole file in bytes. Raises RingError when the space cannot be reserved: a memory file
    that is only promised would be a SIGBUS in the middle of the user's step.
    """

    def __init__(self, path: str, size: int, pid: int, start: int) -> None:
        self.path = path
        self.size = size = max(size, 4 * PAGE) & ~(PAGE - 1)
        catalogue = (size // 4) & ~(PAGE - 1)
        self._ring = PAGE + catalogue
        self._length = size - self._ring
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
            self._map = mmap.mmap(fd, size)
        except OSError as error:
            os.unlink(path)
            raise RingError(f"no room for {size >> 20} MB in {os.path.dirname(path)}: {error.strerror}") from None
        finally:
            os.close(fd)
        self._limit = self._length  # bytes that may be written before the reader must be asked again
        self._catalogue = PAGE
        self._pinned: ctypes.c_char | None = None
        self._fence = Fence()
        _HEADER.pack_into(self._map, 0, MAGIC, pid, 0, start, catalogue, self._length)

    def set_rank(self, rank: int) -> None:
        _U32.pack_into(self._map, _RANK, rank + 1)

    def declare(self, entry: dict[str, Any]) -> bool:
        """Add an entry to the catalogue. False when it is full; the entry is then counted as dropped."""
        payload = json.dumps(entry, separators=(",", ":")).encode()
        end = self._catalogue + ((_ENTRY.size + len(payload) + 7) & ~7)
        if end > self._ring:
            self._drop()
            return False
        at = self._catalogue + _ENTRY.size
        self._map[at : at + len(payload)] = payload
        _ENTRY.pack_into(self._map, self._catalogue, len(payload), crc32(payload))
        self._catalogue = end
        return True

    def write(self, schema: int, payload: bytes) -> bool:
        """Publish one record; about a microsecond. False when there is no room: counted, never waited for."""
        head, sequence = _PLACE.unpack_from(self._map, _PLACE_AT)
        size = (len(payload) + _OVERHEAD + 7) & ~7
        at = head % self._length
        room = self._length - at
        needed = size if room >= size else room + size
        if head + needed > self._limit:
            self._limit = _U64.unpack_from(self._map, _TAIL)[0] + self._length
            if head + needed > self._limit:
                return self._drop()
        if room < size:
            if room >= _OVERHEAD:
                pad = _HEAD.pack(0, PAD, sequence)
                start = self._ring + at
                self._map[start : start + _OVERHEAD] = pad + _U32.pack(crc32(pad))
            head += room
            at = 0
        start = self._ring + at
        lead = _HEAD.pack(len(payload), schema, sequence)
        crc = _U32.pack(crc32(payload[:_CHECKED], crc32(lead)))
        if len(payload) > _CHECKED:
            self._map[start + _HEAD.size : start + _OVERHEAD + len(payload)] = payload + crc
            self._fence()
            self._map[start : start + _HEAD.size] = lead
        else:
            self._map[start : start + _OVERHEAD + len(payload)] = b"".join((lead, payload, crc))
        _PLACE.pack_into(self._map, _PLACE_AT, head + size, sequence + 1)
        return True

    @property
    def dropped(self) -> int:
        """Records and entries there was no room for."""
        count: int = _U64.unpack_from(self._map, _DROPPED)[0]
        return count

    def _drop(self) -> bool:
        _U64.pack_into(self._map, _DROPPED, self.dropped + 1)
        return False

    def place(self) -> tuple[int, int, int]:
        """For another pen of the same thread: the address of the file in memory, where in it the ring begins, and
        the ring's length. Not valid after ``close``."""
        if self._pinned is None:
            self._pinned = ctypes.c_char.from_buffer(self._map)
        return ctypes.addressof(self._pinned), self._ring, self._length

    def event(self, entry: dict[str, Any]) -> bool:
        return self.write(EVENT, json.dumps(entry, separators=(",", ":"), default=str).encode())

    def close(self) -> None:
        """Mark a clean end. The file stays: the monitor removes it once it has read the rest."""
        _U64.pack_into(self._map, _CLOSED, 1)
        self._pinned = None
        self._map.close()


class Cursor(NamedTuple):
    """Where a reader stands: bytes ever read from the ring, and the sequence number it expects next."""

    position: int = 0
    sequence: int = 0


class Record(NamedTuple):
    schema: int
    sequence: int
    payload: bytes


class Reader:
    """The monitor's end. Raises RingError if the file is not a finished ring (yet)."""

    def __init__(self, path: str, cursor: Cursor = Cursor()) -> None:  # noqa: B008 - a NamedTuple is immutable
        self.path = path
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise RingError(f"cannot open {path}: {error.strerror}") from None
        try:
            self._map = mmap.mmap(fd, 0)
        except (OSError, ValueError) as error:
            raise RingError(f"cannot map {path}: {error}") from None
        finally:
            os.close(fd)
        if len(self._map) < PAGE or self._map[:8] != MAGIC:
            self._map.close()
            raise RingError(f"{path} is not a ring")
        _, self.pid, _, self.start, catalogue, self._length = _HEADER.unpack_from(self._map, 0)
        self._ring = PAGE + catalogue
        if self._ring + self._length != len(self._map):
            self._map.close()
            raise RingError(f"{path} has an impossible header")
        self._catalogue = PAGE
        self._fence = Fence()
        self.cursor = cursor

    @property
    def rank(self) -> int | None:
        value: int = _U32.unpack_from(self._map, _RANK)[0]
        return value - 1 if value else None

    @property
    def dropped(self) -> int:
        value: int = _U64.unpack_from(self._map, _DROPPED)[0]
        return value

    @property
    def closed(self) -> bool:
        return bool(_U64.unpack_from(self._map, _CLOSED)[0])

    def catalogue(self) -> Iterator[dict[str, Any]]:
        """Entries declared since the last call, in order."""
        while self._catalogue + _ENTRY.size <= self._ring:
            length, crc = _ENTRY.unpack_from(self._map, self._catalogue)
            at = self._catalogue + _ENTRY.size
            if not length or at + length > self._ring:
                return
            payload = self._map[at : at + length]
            if crc32(payload) != crc:
                return
            self._catalogue = at + ((length + 7) & ~7)
            yield json.loads(payload)

    def records(self, most: int = 1 << 30) -> Iterator[Record]:
        """Records published since the cursor, at most ``most``. The cursor moves when the last one is taken;
        ``release`` tells the writer."""
        data, ring, length = self._map, self._ring, self._length
        position, sequence = self.cursor
        try:
            for _ in range(most):
                at = position % length
                room = length - at
                if room < _OVERHEAD:
                    position, at, room = position + room, 0, length
                start = ring + at
                size, schema, number = _HEAD.unpack_from(data, start)
                if number != sequence or size + _OVERHEAD > room:
                    return
                if size > _CHECKED:
                    self._fence()
                record = data[start : start + size + _OVERHEAD]
                if crc32(record[_HEAD.size + size :], crc32(record[: _HEAD.size + min(size, _CHECKED)])) != _WHOLE:
                    return
                if schema == PAD:
                    position += room
                    continue
                position += (size + _OVERHEAD + 7) & ~7
                sequence += 1
                yield Record(schema, number, record[_HEAD.size : -_U32.size])
        finally:
            self.cursor = Cursor(position, sequence)

    def release(self) -> None:
        """Give the space up to the cursor back to the writer. Call it only after the records are safe."""
        _U64.pack_into(self._map, _TAIL, max(self.cursor.position, _U64.unpack_from(self._map, _TAIL)[0]))

    def close(self) -> None:
        self._map.close()
