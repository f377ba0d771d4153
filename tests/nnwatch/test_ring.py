"""The ring: nothing published is lost, nothing torn is read, nothing is waited for."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch.ring import PAGE, Cursor, Reader, RingError, Writer


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "one.ring")


def make(path, size=64 << 10):
    writer = Writer(path, size, os.getpid(), 7)
    return writer, Reader(path)


def test_records_come_back_in_order(path):
    writer, reader = make(path)
    for i in range(5):
        assert writer.write(i + 1, bytes([i]) * i)
    assert [(r.schema, r.sequence, r.payload) for r in reader.records()] == [
        (i + 1, i, bytes([i]) * i) for i in range(5)
    ]
    assert list(reader.records()) == []
    assert (reader.pid, reader.start, reader.rank) == (os.getpid(), 7, None)
    writer.set_rank(0)
    assert reader.rank == 0


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=300),
    reads=st.sets(st.integers(0, 299)),
    releases=st.sets(st.integers(0, 299)),
)
def test_whatever_the_sizes_the_reader_sees_exactly_what_was_accepted(tmp_path_factory, sizes, reads, releases):
    writer, reader = make(str(tmp_path_factory.mktemp("ring") / "r"), 32 << 10)
    accepted, seen, refused = [], [], 0
    for i, size in enumerate(sizes):
        payload = bytes([i % 256]) * size
        if writer.write(1, payload):
            accepted.append(payload)
        else:
            refused += 1
        if i in reads:
            seen += [r.payload for r in reader.records()]
        if i in releases:
            reader.release()
    seen += [r.payload for r in reader.records()]
    assert seen == accepted
    assert reader.dropped == refused == writer.dropped


def test_a_full_ring_drops_and_counts_then_goes_on(path):
    writer, reader = make(path)
    written = 0
    while writer.write(1, b"x" * 1000):
        written += 1
    assert writer.dropped == 1
    assert len(list(reader.records())) == written
    assert not writer.write(1, b"x" * 1000), "space is given back by release, not by reading"
    reader.release()
    assert writer.write(1, b"after")
    assert [r.payload for r in reader.records()] == [b"after"]
    assert reader.dropped == 2


def test_a_record_larger_than_the_ring_is_dropped_not_split_silently(path):
    writer, reader = make(path)
    assert not writer.write(1, b"x" * (1 << 20))
    assert writer.write(1, b"small")
    assert [r.payload for r in reader.records()] == [b"small"]


def test_a_new_reader_resumes_at_the_cursor_without_gap_or_duplicate(path):
    writer, reader = make(path)
    for i in range(10):
        writer.write(1, bytes([i]))
    first = [r.payload for r in reader.records(4)]
    second = Reader(path, Cursor(*reader.cursor))
    assert first + [r.payload for r in second.records()] == [bytes([i]) for i in range(10)]


def test_the_catalogue_keeps_everything_declared_and_refuses_when_full(path):
    writer, reader = make(path)
    declared: list[int] = []
    while writer.declare({"kind": "labels", "id": len(declared), "names": ["layer"] * 20}):
        declared.append(len(declared))
    assert [entry["id"] for entry in reader.catalogue()] == declared
    assert reader.dropped == 1
    assert writer.write(1, b"the ring itself still works")


def test_a_torn_record_is_not_read(path):
    writer, reader = make(path)
    writer.write(1, b"whole")
    with open(path, "r+b") as file:  # a record whose payload never arrived: as after a kill in mid-write
        file.seek(PAGE + reader._ring - PAGE + 32)
        file.write((5).to_bytes(4, "little") + (1).to_bytes(4, "little") + (1).to_bytes(8, "little"))
    assert [r.payload for r in reader.records()] == [b"whole"]
    assert list(reader.records()) == []


def test_of_a_long_record_the_head_comes_last(path):
    writer, reader = make(path)
    table = bytes(range(256)) * 32
    fence = writer._fence

    def died() -> None:
        raise KeyboardInterrupt  # between what is long and what makes it a record

    writer._fence = died
    with pytest.raises(KeyboardInterrupt):
        writer.write(1, table)
    assert list(reader.records()) == []
    writer._fence = fence
    assert writer.write(1, table)
    assert [r.payload for r in reader.records()] == [table]


WRITES_TABLES = """
    import os, sys
    from nnwatch.ring import Writer
    writer = Writer(sys.argv[1], 1 << 20, os.getpid(), 1)
    i = 0
    while True:
        i += writer.write(1, i.to_bytes(4, "little") * int(sys.argv[2]))
"""


@pytest.mark.parametrize("words", [255, 256, 257, 2048])
def test_long_records_are_whole_while_they_are_written_and_after_a_kill(path, words):
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITES_TABLES), path, str(words)])
    expected = 0
    try:
        reader = opened(path)
        while expected < 5000:
            expected = whole(reader, words, expected)
    finally:
        process.kill()
        process.wait()
    whole(reader, words, expected)


def opened(path):
    while True:
        with contextlib.suppress(RingError):  # not finished yet
            return Reader(path)


def whole(reader, words, expected):
    """Take all there is; the number of the next record."""
    for record in reader.records():
        assert record.payload == expected.to_bytes(4, "little") * words
        expected += 1
    reader.release()
    return expected


@pytest.mark.parametrize("content", [b"", b"NNW", b"\0" * 8192, b"NNWRING1" + b"\xff" * 8184])
def test_what_is_not_a_ring_is_refused(tmp_path, content):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(RingError):
        Reader(str(path))


def test_no_room_is_an_error_at_the_start_not_a_sigbus_later(tmp_path):
    with pytest.raises(RingError, match="no room"):
        Writer(str(tmp_path / "huge"), 1 << 60, 1, 1)
    assert list(tmp_path.iterdir()) == []


WRITES_AND_DIES = """
    import os, signal, sys
    from nnwatch.ring import Writer
    writer = Writer(sys.argv[1], 1 << 20, os.getpid(), 1)
    for i in range(1000):
        assert writer.write(1, i.to_bytes(4, "little"))
    death = sys.argv[2]
    if death == "_exit":
        os._exit(3)
    if death == "exception":
        raise RuntimeError("as in a user's script")
    os.kill(os.getpid(), getattr(signal, death))
"""


@pytest.mark.parametrize("death", ["_exit", "exception", "SIGKILL", "SIGTERM", "SIGSEGV", "SIGINT"])
def test_no_published_record_is_lost_however_the_writer_dies(path, death):
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WRITES_AND_DIES), path, death], stderr=subprocess.DEVNULL, check=False
    )
    if hasattr(signal, death):
        assert process.returncode in (-getattr(signal, death), 130)
    assert [int.from_bytes(r.payload, "little") for r in Reader(path).records()] == list(range(1000))
