"""What holds a frame's bytes together: ``mark 4 bytes, length u32, crc u32, payload``, in a file and on the wire.

The CRC covers length and payload; the mark lets a reader find the next whole frame behind a damaged one.
"""

from __future__ import annotations

import struct
from zlib import crc32

MARK = b"\xf7nnw"
LIMIT = 64 << 20
"""Longest payload a reader accepts, in bytes."""

_HEAD = struct.Struct("<4sII")
HEAD_SIZE = _HEAD.size
_U32 = struct.Struct("<I")


class FrameError(Exception):
    """Bytes that are no frame."""


def sealed(payload: bytes) -> bytes:
    """Head and payload: the bytes of one frame."""
    length = _U32.pack(len(payload))
    return MARK + length + _U32.pack(crc32(payload, crc32(length))) + payload


def opened(data: bytes | bytearray | memoryview, at: int = 0) -> tuple[bytes, int]:
    """The payload of the frame that begins at ``at`` and the offset behind it.

    Raises EOFError when the frame is not whole yet, FrameError when the bytes are damaged.
    """
    if len(data) - at < HEAD_SIZE:
        if bytes(data[at : at + 4]) != MARK[: len(data) - at]:
            raise FrameError(f"no frame begins at byte {at}")
        raise EOFError
    mark, length, crc = _HEAD.unpack_from(data, at)
    if mark != MARK or length > LIMIT:
        raise FrameError(f"no frame begins at byte {at}")
    end = at + HEAD_SIZE + length
    if len(data) < end:
        raise EOFError
    payload = bytes(data[at + HEAD_SIZE : end])
    if crc32(payload, crc32(_U32.pack(length))) != crc:
        raise FrameError(f"the frame at byte {at} is damaged")
    return payload, end
