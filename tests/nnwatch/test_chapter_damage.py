"""A damaged chapter costs nothing, one of another program's no more than itself."""

import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch.chapter import Chapters
from nnwatch.cli import main
from nnwatch.frame import RETOLD, Commit, Console, Schema, Segment, pack
from nnwatch.parser import PRELUDE, pieces
from nnwatch.retold import Chapter, Columns
from nnwatch.session import Reader, Writer
from nnwatch.squeeze import unsqueezed

from . import doors
from .chapters import RUN, SCHEMAS, numbers, picture, plain, write
from .doors import ROOT

pytestmark = pytest.mark.usefixtures("short_chapters")


def records(frames):
    """{(metric, step, time): values}, of all blocks."""
    series, *_ = picture(frames)
    out = {}
    for (_, metric), (steps, times, values, names) in series.items():
        for step, time, row in zip(steps, times, np.frombuffer(values, np.uint32).reshape(-1, len(names)), strict=True):
            out[metric, step, time] = row.tolist()
    return out


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bits_never_make_a_wrong_number_and_cost_no_whole_frame(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "flips"
    folder.mkdir(exist_ok=True)
    path = folder / "whole.nnw"
    if not path.exists():
        write(path, 30)
    before = path.read_bytes()
    content = bytearray(before)
    bounds = [(piece.start, piece.end, piece.frame) for piece in pieces(before, len(PRELUDE))]
    where = data.draw(st.sampled_from(["anywhere", "told again"]))
    choices = [(a, b) for a, b, frame in bounds if where == "anywhere" or isinstance(frame, RETOLD)]
    for _ in range(data.draw(st.integers(1, 6))):
        a, b = data.draw(st.sampled_from(choices))
        content[data.draw(st.integers(a, b - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = folder / "flipped.nnw"
    path.write_bytes(content)
    whole = [f for a, b, f in bounds if content[a:b] == before[a:b] and not isinstance(f, RETOLD)]
    reader = Reader(path)
    found = records(reader.read())
    reader.close()
    truth = records(plain(before))
    introduced = {f.id for f in whole if isinstance(f, Schema)}
    if any(isinstance(f, Segment) for f in whole) and introduced == {1, 2, 3, 4}:
        assert records(whole).items() <= found.items()
    assert found.items() <= truth.items()


def test_a_chapter_that_is_damaged_leaves_nothing_out(tmp_path):
    path = write(tmp_path / "s.nnw", 40)
    data = path.read_bytes()
    want = picture(plain(data))
    again = [piece for piece in pieces(data, len(PRELUDE)) if isinstance(piece.frame, RETOLD)]
    newest = max(piece.start for piece in again if isinstance(piece.frame, Chapter))
    for piece in again:
        content = bytearray(data)
        content[(piece.start + piece.end) // 2] ^= 0x10
        path.write_bytes(content)
        reader = Reader(path)
        assert picture(reader.read()) == want
        assert reader.damaged == (piece.start == newest)  # then everything is read frame by frame
        reader.close()


def test_the_inventory_counts_chapters_and_names_those_that_cannot_be_read(tmp_path, capsys):
    path = write(tmp_path / "s.nnw", 40)
    data = path.read_bytes()
    again = [piece for piece in pieces(data, len(PRELUDE)) if isinstance(piece.frame, RETOLD)]
    starts = [piece.start for piece in again if isinstance(piece.frame, Chapter)]
    assert main(["report", str(path), "--verify"]) == 0
    assert main(["report", str(path), "--info"]) == 0
    assert f"chapters  {len(starts)}\n" in capsys.readouterr().out
    columns = next(piece for piece in again if piece.start > starts[3] and isinstance(piece.frame, Columns))
    for place, says in (
        (columns.start + 20, f"byte {starts[4]}: this chapter cannot be read"),
        (starts[2] + 20, f"byte {starts[2]}: no chapter is here, what is before it is read frame by frame"),
    ):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert main(["report", str(path), "--verify"]) == 2
        assert says in capsys.readouterr().err


def test_a_chapter_that_tells_more_or_less_than_there_is_is_a_flaw(tmp_path, capsys):
    for told, says in ((5, "1 records too many"), (3, "1 records too few")):
        writer = Writer(tmp_path / f"{told}.nnw")
        writer.append([RUN, Segment(0, 0, 1, 1e9), *SCHEMAS, numbers(1, 1, 4)], Commit(0.0))
        writer._chapters = Chapters()
        for frame in (*[Console(0.0, "")] * 20, numbers(1, 1, told)):
            writer._chapters.add(frame, pack(frame))
        writer.append([], Commit(1.0))
        writer.close()
        assert main(["report", str(writer.path), "--verify"]) == 2
        assert says in capsys.readouterr().err


def test_the_last_commit_is_found_however_much_lies_behind_it(tmp_path):
    path = write(tmp_path / "s.nnw", 30)
    data = path.read_bytes()
    *_, commit = (piece for piece in pieces(data, len(PRELUDE)) if isinstance(piece.frame, Commit))
    for behind in (0, 100, 70_000, 700_000):
        path.write_bytes(data + pack(Console(0.0, "x" * 1000)) * (behind // 1000) + b"\xf7nnw" + bytes(behind % 1000))
        reader = Reader(path, committed=True)
        assert (reader.archive.commit, reader.archive.end) == (commit.frame, commit.end)
        assert picture(reader.read()) == picture(plain(data))
        reader.close()
    path.write_bytes(data[: len(PRELUDE)] + pack(Console(0.0, "x" * 1000)) * 700)
    reader = Reader(path)
    assert reader.archive.commit is None
    reader.close()


def test_whatever_the_chapters_say_reading_ends(tmp_path):
    """Rows that lead nowhere, forward or in a circle, from a program that is not ours."""
    for chapters in (
        [Chapter(1, 10**18, 16, [], [])],
        [Chapter(1, 16, 1 << 62, [], [])],
        [Chapter(1, 0, -1, [], [])],
        [Chapter(1, -5, 16, [], [])],
    ):
        path = tmp_path / "s.nnw"
        body = pack(RUN)
        at = len(PRELUDE) + len(body)
        path.write_bytes(PRELUDE + body + b"".join(map(pack, chapters)) + pack(Commit(1.0, chapter=at)))
        assert doors.frames(path)[-1] == Commit(1.0, chapter=at)
        for place in (at + 1, 1 << 63, 1 << 40):
            path.write_bytes(PRELUDE + body + pack(Commit(1.0, chapter=place)))
            assert doors.frames(path) == [RUN, Commit(1.0, chapter=place)]


def test_numbers_that_inflate_to_more_than_a_frame_may_hold_are_none():
    bomb = zlib.compress(bytes(100 << 20), 9)
    assert unsqueezed(Columns(1, 0, 0, 1, bomb)) is None
    assert unsqueezed(Columns(1, 0, 0, 1 << 60, zlib.compress(b"12345678"))) is None
    assert unsqueezed(Columns(1, 0, 0, 1, b"no stream")) is None


FULL_DISK = """
import resource, signal, sys
from nnwatch import chapter, overview
from nnwatch.session import Writer
from tests.nnwatch.chapters import flushes
chapter._FRAMES, chapter._RECORDS, chapter.SPAN, overview.RECORDS = 8, 7, 3, 4
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer, full = Writer(sys.argv[1]), 0
for frames, commit in flushes(20):
    for room in (*range(0, 2000, 150), 100_000):  # until all of the flush fits
        resource.setrlimit(resource.RLIMIT_FSIZE, (writer.end + room, resource.RLIM_INFINITY))
        try:
            writer.append(frames, commit)
            break
        except OSError:
            full += 1
    else:
        sys.exit("it did not fit")
print(full)
"""


def test_a_disk_that_is_full_in_the_middle_of_a_chapter_leaves_no_trace(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "s.nnw")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
    assert (tmp_path / "s.nnw").read_bytes() == write(tmp_path / "whole.nnw", 20).read_bytes()
