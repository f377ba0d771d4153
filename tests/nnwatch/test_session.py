"""Frames and the session file: every whole frame is read, no damaged one is, whatever happened to the bytes."""

import os
import subprocess
import sys
import textwrap
from zlib import crc32

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch.frame import Block, Commit, Console, End, Event, FieldSpec, Run, Schema, Segment, pack, unpack
from nnwatch.history import History
from nnwatch.parser import PRELUDE, SessionError
from nnwatch.seal import HEAD_SIZE, MARK, FrameError
from nnwatch.session import Reader, Writer

from . import doors

RUN = Run("digits-1121", "id", "host", ["train.py"], "python3", "/home/me", 1e9)


def block(first, count, schema=1):
    steps = np.arange(first, first + count, dtype=np.int64)
    values = np.stack([steps * 0.5, steps * 2.0]).astype(np.float32)
    return Block(schema, 0, 0, count, steps.tobytes(), (steps + 1e9).astype(float).tobytes(), values.tobytes())


def write(path, flushes=5):
    writer = Writer(path)
    schema = Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("loss.root")])
    writer.append([RUN, Segment(0, 0, 1, 1e9), schema], Commit(0.0))
    for i in range(flushes):
        writer.append([block(1 + 10 * i, 10), Console(float(i), f"epoch {i}\n", i)], Commit(float(i), {"r": (i, i)}))
    writer.close()
    return path


def test_a_frame_comes_back_as_it_was():
    for frame in (
        RUN,
        block(1, 3),
        Event("nonfinite", 1.0, data={"layer": None, "loss": float("inf")}),
        End(1.0, "lost"),
    ):
        data = pack(frame)
        assert unpack(data) == (frame, len(data))


def test_an_unknown_kind_is_skipped_and_an_unknown_field_ignored(tmp_path):
    def raw(content):
        payload = msgspec.msgpack.encode(content)
        good = pack(RUN)
        body = len(payload).to_bytes(4, "little")
        assert good.startswith(MARK)
        return MARK + body + crc32(payload, crc32(body)).to_bytes(4, "little") + payload

    path = tmp_path / "s.nnw"
    path.write_bytes(
        PRELUDE
        + raw({"type": "hologram", "x": 1})
        + raw({"type": "console", "time": 1.0, "text": "hello", "colour": "red"})
    )
    reader = Reader(path)
    assert reader.read() == [Console(1.0, "hello")]
    assert reader.number == 2


def test_reading_while_it_grows_gives_every_frame_once(tmp_path):
    whole = write(tmp_path / "whole.nnw").read_bytes()
    growing = tmp_path / "growing.nnw"
    growing.write_bytes(whole[:16])
    reader, frames = Reader(growing), []
    with growing.open("ab") as file:
        for at in range(16, len(whole), 7):
            file.write(whole[at : at + 7])
            file.flush()
            frames += reader.read()
    assert frames == doors.frames(tmp_path / "whole.nnw")
    assert reader.damaged == 0


def test_truncated_at_every_byte_of_the_last_flush_all_whole_frames_are_read(tmp_path):
    data = write(tmp_path / "s.nnw", 2).read_bytes()
    ends, at = [], len(PRELUDE)
    while at < len(data):
        _, at = unpack(data, at)
        ends.append(at)
    cut = tmp_path / "cut.nnw"
    for size in range(ends[-4], len(data) + 1):
        cut.write_bytes(data[:size])
        assert len(doors.frames(cut)) == sum(end <= size for end in ends)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_bits_cost_their_own_frame_and_no_other(tmp_path_factory, data):
    path = write(tmp_path_factory.mktemp("s") / "s.nnw", 3)
    content = bytearray(path.read_bytes())
    original = doors.frames(path)
    bounds, at = [], len(PRELUDE)
    while at < len(content):
        _, end = unpack(content, at)
        bounds.append((at, end))
        at = end
    flips = data.draw(st.lists(st.integers(len(PRELUDE), len(content) - 1), min_size=1, max_size=4))
    for place in flips:
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    before = path.read_bytes()
    path.write_bytes(content)
    whole = [frame for frame, (a, b) in zip(original, bounds, strict=True) if content[a:b] == before[a:b]]
    assert doors.frames(path) == whole


@given(st.binary(max_size=200))
def test_random_bytes_never_make_a_frame_or_another_exception(data):
    try:
        frame, end = unpack(MARK + data)
    except (EOFError, FrameError):
        return
    assert frame is None
    assert end >= HEAD_SIZE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 a zip file, say", "not an nnwatch session"),
        (PRELUDE[:9], "cut off"),
        (PRELUDE[:8] + b"\x63\x00" + PRELUDE[10:], "version 99"),
    ],
)
def test_a_file_that_is_no_session_says_what_why_and_what_to_do(tmp_path, content, says):
    path = tmp_path / "x.nnw"
    path.write_bytes(content)
    with pytest.raises(SessionError, match=says) as error:
        Reader(path)
    assert "\n" not in str(error.value)


def test_a_directory_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(SessionError, match="directory"):
        Reader(tmp_path)
    with pytest.raises(SessionError, match="No such file"):
        Reader(tmp_path / "none.nnw")


def test_a_new_writer_cuts_off_what_was_not_committed(tmp_path):
    path = write(tmp_path / "s.nnw", 2)
    committed = path.read_bytes()
    torn = committed + pack(block(21, 10)) + pack(Console(9.0, "half a flush"))[:-3]
    path.write_bytes(torn)
    writer = Writer(path, resume=True)
    assert writer.commit.cursors == {"r": (1, 1)}
    assert path.read_bytes() == committed
    writer.append([block(21, 10)], Commit(9.0, {"r": (2, 2)}))
    writer.close()
    history = History()
    for frame in doors.frames(path):
        history.apply(frame)
    assert history.main is not None
    assert history.main["loss.train"].steps.tolist() == list(range(1, 31))


def test_a_session_is_never_overwritten(tmp_path):
    path = write(tmp_path / "s.nnw")
    with pytest.raises(FileExistsError):
        Writer(path)


FILLS_THE_DISK = """
    import resource, signal, sys
    from tests.nnwatch.test_session import Commit, Writer, block
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = Writer(sys.argv[1])
    writer.append([], Commit(0.0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    try:
        writer.append([block(1, 500)], Commit(1.0))
    except OSError as error:
        print("full", error.errno)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer.append([block(1, 500)], Commit(1.0))
"""


def test_a_full_disk_leaves_the_file_as_it_was_and_the_same_flush_goes_in_later(tmp_path):
    path = tmp_path / "s.nnw"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FILLS_THE_DISK), str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("full")
    assert doors.frames(path) == [Commit(0.0), block(1, 500), Commit(1.0)]


def test_opening_many_times_does_not_leak(tmp_path):
    path = write(tmp_path / "s.nnw")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        reader = Reader(path)
        reader.read()
        reader.close()
    assert len(os.listdir("/proc/self/fd")) == before
