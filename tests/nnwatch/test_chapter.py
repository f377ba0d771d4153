"""Chapters: told again is told the same, and a damaged one costs nothing."""

import itertools
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch import chapter
from nnwatch.archive import Archive
from nnwatch.chapter import Chapters
from nnwatch.cli import main
from nnwatch.frame import RETOLD, Block, Commit, Console, Event, FieldSpec, Frame, Labels, Run, Schema, Segment, pack
from nnwatch.history import History, Track
from nnwatch.overview import Buckets
from nnwatch.parser import PRELUDE, pieces
from nnwatch.retold import Chapter, Columns
from nnwatch.seal import FrameError
from nnwatch.session import Reader, Writer
from nnwatch.squeeze import unsqueezed

from . import by_the_book
from .doors import NNWATCH, ROOT

RUN = Run("digits", "id", "host", ["train.py"], "python3", "/home/me", 1e9)
SCHEMAS = [
    Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("lr", 2)]),
    Schema(2, "sample", [FieldSpec("update.ratio", 3, 1)]),
    Schema(3, "sample", [FieldSpec("update.ratio", 3, 1), FieldSpec("act.dead", 2)]),
    Schema(4, "system", [FieldSpec("cpu.percent")]),
]
WIDTHS = {1: 3, 2: 3, 3: 5, 4: 1}


@pytest.fixture(autouse=True)
def short_chapters(monkeypatch):
    monkeypatch.setattr(chapter, "_FRAMES", 8)
    monkeypatch.setattr(chapter, "_RECORDS", 7)
    monkeypatch.setattr(chapter, "SPAN", 3)
    monkeypatch.setattr("nnwatch.overview.RECORDS", 4)


def numbers(schema, first, count, seed=0, segment=0, rank=0):
    rng = np.random.default_rng([schema, first, seed])
    steps = np.arange(first, first + count)
    values = rng.standard_normal((WIDTHS[schema], count)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    return Block(schema, segment, rank, count, steps.tobytes(), (steps * 0.5).tobytes(), values.tobytes())


def flushes(count, seed=0):
    """What a monitor writes: (frames, commit) for each flush."""
    rng = np.random.default_rng(seed)
    step = 1
    yield [RUN, Segment(0, 0, 1, 1e9), Labels(1, ["a", "b", "c"]), *SCHEMAS], Commit(0.0)
    for i in range(count):
        n = int(rng.integers(1, 12))
        frames = [numbers(1, step, n), numbers(2 + int(i > count // 2), step, 1)]
        if i % 4 == 1:
            frames += [Console(float(i), f"epoch {i}\n", step), numbers(4, step, 1)]
        if i % 5 == 2:
            frames += [Event("checkpoint.saved", float(i), step, data={"path": "x.pt"}), numbers(1, step + n, 2, 1)]
            n += 2
        step += n
        yield frames, Commit(float(i), {"1-2.ring": (step, i)})


def write(path, count, seed=0):
    writer = Writer(path)
    for frames, commit in flushes(count, seed):
        writer.append(frames, commit)
    writer.close()
    return path


def picture(frames):
    """Everything that a history knows, for comparison."""
    history = History()
    for frame in frames:
        history.apply(frame)
    tracks: list[tuple[object, Track]] = [*history.tracks.items(), ("system", history.system)]
    series = {
        (key, metric): (one.steps.tolist(), one.times.tolist(), one.values.tobytes(), one.names())
        for key, track in tracks
        for metric, one in track.items()
    }
    return series, history.events, history.console, history.run, history.end, history.commit, history.last_step


def plain(data):
    """The frames of a session as they were written, without what is told again."""
    found = (piece.frame for piece in pieces(data, len(PRELUDE)))
    return [frame for frame in found if frame and not isinstance(frame, (*RETOLD, FrameError))]


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


@pytest.mark.parametrize("again", [False, True])
def test_a_reader_written_from_the_document_alone_reads_the_same(tmp_path, again):
    data = write(tmp_path / "s.nnw", 40).read_bytes()
    history = History()
    for frame in Reader(tmp_path / "s.nnw").read():
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
        assert [f["type"] for f in by_the_book.plain(data)] == [type(f).__name__.lower() for f in Reader(path).read()]


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
    assert Reader(path).archive.commit is None


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
        assert Reader(path).read()[-1] == Commit(1.0, chapter=at)
        for place in (at + 1, 1 << 63, 1 << 40):
            path.write_bytes(PRELUDE + body + pack(Commit(1.0, chapter=place)))
            assert Reader(path).read() == [RUN, Commit(1.0, chapter=place)]


def test_numbers_that_inflate_to_more_than_a_frame_may_hold_are_none():
    bomb = zlib.compress(bytes(100 << 20), 9)
    assert unsqueezed(Columns(1, 0, 0, 1, bomb)) is None
    assert unsqueezed(Columns(1, 0, 0, 1 << 60, zlib.compress(b"12345678"))) is None
    assert unsqueezed(Columns(1, 0, 0, 1, b"no stream")) is None


def test_overviews_reach_over_the_whole_run_in_a_few_frames(tmp_path):
    path = write(tmp_path / "s.nnw", 120)
    fd = os.open(path, os.O_RDONLY)
    archive = Archive(fd, path.stat().st_size)
    levels = list(archive.covering())
    depths = [depth for depth, _ in levels]
    assert depths == sorted(depths)
    assert max(depths) >= 2
    assert all(depths.count(depth) < chapter.SPAN for depth in set(depths) if depth < max(depths))
    history = History()
    for frame in plain(path.read_bytes()[: archive.newest]):
        history.apply(frame)
    loss = history.tracks[0, 0]["loss.train"]
    end = 0
    for _, level in reversed(levels):
        for place in level.places:
            buckets = archive.buckets(place)
            if place.schema != 1:
                continue
            assert buckets is not None
            for i, step in enumerate(buckets.steps):
                begin, end = end, loss.until(int(step))
                part = loss.scalar[begin:end]
                assert buckets.last[0, i] == part[-1] or np.isnan(part[-1])
                assert buckets.measured[0, i] == np.count_nonzero(~np.isnan(part))
                if not np.isnan(part).all():
                    assert buckets.smallest[0, i] == np.nanmin(part)
                    assert buckets.largest[0, i] == np.nanmax(part)
                    assert buckets.mean[0, i] == pytest.approx(np.nanmean(part), rel=1e-5, abs=1e-6)
    assert end == len(loss)
    os.close(fd)


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=300),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_buckets_of_buckets_lose_no_extreme_and_no_record(values, cuts):
    column = np.array([values], np.float32)
    steps = np.arange(len(values))
    bounds = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    parts = [Buckets.of(steps[a:b], steps * 0.5, column[:, a:b]) for a, b in itertools.pairwise(bounds)]
    whole = Buckets.together([part._replace(times=part.times[: len(part.steps)]) for part in parts])
    known = column[~np.isnan(column)]
    assert whole.measured.sum() == len(known)
    assert whole.steps[-1] == len(values) - 1
    if len(known):
        assert np.nanmin(whole.smallest) == known.min()
        assert np.nanmax(whole.largest) == known.max()
    back = Buckets.read(whole.frame(1, 0, 0))
    assert back is not None
    for read, made in zip(back, whole, strict=True):
        assert np.array_equal(np.asarray(read), np.asarray(made), equal_nan=True)


FULL_DISK = """
import resource, signal, sys
from nnwatch import chapter, overview
from tests.nnwatch.test_chapter import Writer, flushes
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
