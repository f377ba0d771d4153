"""A reader of sessions written from nnwatch/FORMAT.md alone: it shares no line with the package."""

import array
import sys
import zlib

import msgspec

MARK = b"\xf7nnw"
assert sys.byteorder == "little"


def frame(data: bytes, at: int):
    """(map, offset behind it), or why there is none: "later" or "damaged"."""
    head = data[at : at + 12]
    if len(head) < 12:
        return "later" if head[:4] == MARK[: len(head)] else "damaged"
    length = int.from_bytes(head[4:8], "little")
    if head[:4] != MARK or length > 67_108_864:
        return "damaged"
    payload = data[at + 12 : at + 12 + length]
    if len(payload) < length:
        return "later"
    if zlib.crc32(head[4:8] + payload) != int.from_bytes(head[8:12], "little"):
        return "damaged"
    return msgspec.msgpack.decode(payload), at + 12 + length


def frames(data: bytes, at: int, end: int):
    """Whole frames between two bytes, with where each begins."""
    while at < end:
        found = frame(data[:end], at)
        if isinstance(found, tuple):
            yield at, found[0]
            at = found[1]
            continue
        while (at := data.find(MARK, at + 1, end)) >= 0 and not isinstance(frame(data[:end], at), tuple):
            pass
        if at < 0:
            return


def plain(data: bytes):
    """All frames that say something new, in order."""
    assert data[:8] == b"\x89NNW\r\n\x1a\n"
    assert int.from_bytes(data[8:10], "little") == 1
    again = ("story", "columns", "overview", "chapter")
    return [found for _, found in frames(data, 16, len(data)) if found["type"] not in again]


def numbers(data: bytes, kind: str):
    values = array.array(kind)
    values.frombytes(data)
    return values.tolist()


def unsqueezed(found):
    """Steps, times and columns of ``columns`` or ``overview``."""
    data, n = zlib.decompress(found["data"]), found["count"]

    def planes(part: bytes, size: int) -> bytes:
        count = len(part) // size
        return bytes(part[plane * count + i] for i in range(count) for plane in range(size))

    values = numbers(planes(data[16 * n :], 4), "f")
    columns = [values[i : i + n] for i in range(0, len(values), n)]
    return numbers(planes(data[: 8 * n], 8), "q"), numbers(planes(data[8 * n : 16 * n], 8), "d"), columns


def block(found):
    n = found["count"]
    values = numbers(found["values"], "f")
    return (
        numbers(found["steps"], "q"),
        numbers(found["times"], "d"),
        [values[i : i + n] for i in range(0, len(values), n)],
    )


def chapters(data: bytes):
    """From the end: (byte, chapter frame), newest first."""
    commits = [found for _, found in frames(data, 16, len(data)) if found["type"] == "commit"]
    at = commits[-1].get("chapter", 0) if commits else 0
    while at:
        found = frame(data, at)
        if not isinstance(found, tuple) or found[0].get("type") != "chapter":
            return
        yield at, found[0]
        at = found[0]["previous"]


def series(data: bytes, *, again: bool):
    """{(segment, rank, metric): [(step, time, values)]}, from the plain frames or as the chapters tell it."""
    told, rest = [], 16
    if again:
        row = list(chapters(data))
        rest = row[0][0] if row else 16
        for _, chapter in reversed(row):
            inside = zlib.decompress(frame(data, chapter["story"])[0]["data"])
            told += [found for _, found in frames(inside, 0, len(inside))]
            told += [frame(data, place[0])[0] for place in chapter["columns"]]
    told += [found for _, found in frames(data, rest, len(data))][bool(again and told) :]
    schemas: dict = {}
    out: dict = {}
    for found in told:
        if found["type"] == "schema":
            schemas[found["id"]] = [(metric, *rest, 1)[:2] for metric, *rest in found["fields"]]
        elif found["type"] == "block" or (found["type"] == "columns" and again):
            steps, times, columns = (block if found["type"] == "block" else unsqueezed)(found)
            at = 0
            for metric, width in schemas[found["schema"]]:
                rows = zip(steps, times, zip(*columns[at : at + width], strict=True), strict=True)
                out.setdefault((found["segment"], found["rank"], metric), []).extend(rows)
                at += width
    return out
