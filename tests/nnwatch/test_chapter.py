"""Chapters: told again is told the same."""

import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch.frame import Frame
from nnwatch.history import History
from nnwatch.parser import PRELUDE, pieces
from nnwatch.retold import Chapter
from nnwatch.session import Reader, Writer

from . import by_the_book, doors
from .chapters import flushes, picture, plain, write
from .doors import NNWATCH, ROOT

pytestmark = pytest.mark.usefixtures("short_chapters")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 1000))
def test_what_is_told_again_is_the_same(tmp_path_factory, count, seed):
    path = write(tmp_path_factory.mktemp("s") / "s.nnw", count, seed)
    reader = Reader(path)
    found = reader.read()
    assert picture(found) == picture(plain(path.read_bytes()))
    assert reader.flaw() is None
    assert reader.offset == path.stat().st_size
    assert reader.number == sum(1 for _ in pieces(path.read_bytes(), len(PRELUDE)))
    reader.close()


@pytest.mark.parametrize("again", [False, True])
def test_a_reader_written_from_the_document_alone_reads_the_same(tmp_path, again):
    data = write(tmp_path / "s.nnw", 40).read_bytes()
    history = History()
    for frame in doors.frames(tmp_path / "s.nnw"):
        history.apply(frame)
    found = by_the_book.series(data, again=again)
    assert {metric for *_, metric in found} == {"loss.train", "lr", "update.ratio", "act.dead", "cpu.percent"}
    for (segment, rank, metric), rows in found.items():
        series = history.system[metric] if metric == "cpu.percent" else history.tracks[segment, rank][metric]
        assert [step for step, *_ in rows] == series.steps.tolist()
        assert [time for _, time, _ in rows] == series.times.tolist()
        assert np.array_equal(np.array([values for *_, values in rows], np.float32), series.values, equal_nan=True)
    assert [f["type"] for f in by_the_book.plain(data)] == [type(f).__name__.lower() for f in plain(data)]


def test_the_golden_recordings_read_the_same_by_the_document():
    for path in (ROOT / "tests" / "sessions" / "healthy.nnw", ROOT / "nnwatch" / "demo.nnw"):
        data = path.read_bytes()
        assert [f["type"] for f in by_the_book.plain(data)] == [type(f).__name__.lower() for f in doors.frames(path)]


def test_a_new_writer_goes_on_as_the_old_one_would_have(tmp_path):
    """Killed after any flush, also in the middle of one: the same bytes come out in the end."""
    whole = write(tmp_path / "whole.nnw", 45).read_bytes()
    path = tmp_path / "s.nnw"
    rows = list(flushes(45))
    writer = Writer(path)
    for i, (frames, commit) in enumerate(rows):
        writer.append(frames, commit)
        if i % 3 == 0:
            number = writer.number
            writer.close()
            with path.open("ab") as file:
                file.write(whole[path.stat().st_size :][: 37 * i % 200])  # half a flush
            writer = Writer(path, resume=True)
            assert writer.number == number
    writer.close()
    assert path.read_bytes() == whole


def test_a_copy_made_at_any_moment_reads_as_far_as_it_goes(tmp_path):
    """Cut at every byte of the last chapter and of the flushes around it."""
    data = write(tmp_path / "s.nnw", 6).read_bytes()
    found = list(pieces(data, len(PRELUDE)))
    last = max(i for i, piece in enumerate(found) if isinstance(piece.frame, Chapter))
    copy = tmp_path / "copy.nnw"
    for size in range(found[last - 9].start, found[last].end + 200):
        copy.write_bytes(data[:size])
        reader = Reader(copy)
        assert picture(reader.read()) == picture(plain(data[:size]))
        assert reader.damaged == 0
        assert (reader.flaw() is None) == any(piece.end == size for piece in found)
        reader.close()


def test_reading_while_it_grows_gives_every_frame_once(tmp_path):
    """Also by a reader that came when there was no chapter yet, or in the middle of one."""
    writer = Writer(tmp_path / "s.nnw")
    readers: list[tuple[Reader, list[Frame]]] = []
    for i, (frames, commit) in enumerate(flushes(40)):
        writer.append(frames, commit)
        if i % 7 == 0:
            readers.append((Reader(writer.path), []))
        for reader, found in readers:
            found += reader.read()
    writer.close()
    want = picture(plain(writer.path.read_bytes()))
    for reader, found in readers:
        assert picture(found) == want
        assert reader.number == writer.number
        reader.close()


def test_the_newest_records_are_had_without_the_rest(tmp_path):
    path = write(tmp_path / "s.nnw", 60)
    history = History()
    for frame in plain(path.read_bytes()):
        history.apply(frame)
    for most in (1, 20, 100, 10_000):
        recent, reader = History(), Reader(path)
        for frame in reader.recent(most):
            recent.apply(frame)
        assert recent.console == history.console
        for metric, series in history.tracks[0, 0].items():
            n = len(recent.tracks[0, 0][metric])
            assert n >= min(most, len(series)) or metric != "loss.train"
            assert np.array_equal(recent.tracks[0, 0][metric].values, series.values[len(series) - n :], equal_nan=True)
        assert (len(recent.tracks[0, 0]["loss.train"]) == len(history.tracks[0, 0]["loss.train"])) == (most == 10_000)
        assert picture(reader.read()) == picture(plain(path.read_bytes()))
        reader.close()


READ_ONLY = """
set -e
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
if touch "$1/x" 2>/dev/null; then exit 77; fi
shift
exec "$@"
"""


def test_a_session_on_a_read_only_mount_is_reported(tmp_path):
    write(tmp_path / "s.nnw", 40)
    report = [str(tmp_path), *NNWATCH, "report", str(tmp_path / "s.nnw")]
    done = subprocess.run(["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", *report], capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mount namespace here")
    assert done.returncode == 0, done.stderr
    assert "step 253" in done.stdout
