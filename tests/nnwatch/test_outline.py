"""What a far viewer is sent first comes from the chapters, and from the history where they do not reach."""

import os

import numpy as np
import pytest

from nnwatch.archive import Archive
from nnwatch.frame import Block, Commit, Event, FieldSpec, Run, Schema, Segment, Stretch
from nnwatch.history import History
from nnwatch.outline import outline
from nnwatch.overview import Buckets
from nnwatch.parser import PRELUDE, pieces
from nnwatch.retold import Chapter, Overview
from nnwatch.session import Writer

STEPS = 60_000
MOST = 200_000


class Recorded:
    """Two ranks with a curve of every step, a table of 100 layers now and then, and the machine."""

    def __init__(self, path):
        self.path = path
        self.history = History()
        self.writer = Writer(path)
        run = Run("a", "id", "h", [], "", "", 0.0)
        kinds = [("step", [FieldSpec("loss.train"), FieldSpec("lr")]), ("sample", [FieldSpec("update.ratio", 100)])]
        kinds.append(("system", [FieldSpec("cpu.percent")]))
        schemas = [Schema(i + 1, name, fields) for i, (name, fields) in enumerate(kinds)]
        self.append(run, Segment(0, 0, 1, 0.0), Segment(0, 1, 2, 0.0), *schemas, Event("facts", 0.0, data={"a": 1}))
        for first in range(1, STEPS + 1, 500):
            steps = np.arange(first, first + 500)
            loss, sampled = np.where(steps == 30_007, np.nan, np.cos(steps)), steps[::20]
            table = np.repeat(sampled[None].astype(np.float32), 100, axis=0)
            self.append(
                *(block(1, rank, steps, np.stack([loss + rank, np.full(500, 0.1)])) for rank in (0, 1)),
                block(2, 0, sampled, table),
                block(3, 0, steps[:1], np.full((1, 1), first / 500)),
            )

    def append(self, *frames):
        self.writer.append(frames, Commit(1.0))
        for frame in frames:
            self.history.apply(frame)

    def outlined(self):
        """The history of a viewer that got the outline, and the frames."""
        fd = os.open(self.path, os.O_RDONLY)
        frames = outline(self.history, Archive(fd, self.writer.end), MOST)
        os.close(fd)
        known = History()
        for frame in frames:
            known.apply(frame)
        return known, frames

    def reached(self) -> int:
        """The last step that the chapters tell."""
        fd = os.open(self.path, os.O_RDONLY)
        step = max(place.last_step for place in next(Archive(fd, self.writer.end).chapters()).chapter.columns)
        os.close(fd)
        return step


def block(schema, rank, steps, values):
    data = (steps.tobytes(), (steps / 10).tobytes(), np.asarray(values, np.float32).tobytes())
    return Block(schema, 0, rank, len(steps), *data)


@pytest.fixture
def recorded(tmp_path):
    return Recorded(tmp_path / "a.nnw")


def test_the_curve_has_its_extremes_its_gaps_and_its_newest_records(recorded):
    known, frames = recorded.outlined()
    numbers = sum(len(f.values) + 16 * f.count for f in frames if isinstance(f, Stretch))
    assert numbers < MOST
    for rank in (0, 1):
        mine, whole = known.tracks[0, rank]["loss.train"], recorded.history.tracks[0, rank]["loss.train"]
        assert (mine.steps[0], mine.steps[-1]) == (1, STEPS)
        assert (np.diff(mine.steps) >= 0).all()
        assert (np.diff(mine.times) >= 0).all()
        assert np.nanmin(mine.scalar) == np.nanmin(whole.scalar)
        assert np.nanmax(mine.scalar) == np.nanmax(whole.scalar)
        [gap] = mine.steps[np.isnan(mine.scalar)]
        assert abs(int(gap) - 30_007) < STEPS / 50
        np.testing.assert_array_equal(mine.scalar[-64:], whole.scalar[-64:])
    assert known.facts == recorded.history.facts
    assert known.system["cpu.percent"].scalar[-1] == recorded.history.system["cpu.percent"].scalar[-1]


def test_rows_of_tables_are_whole_and_at_their_own_steps(recorded):
    known, _ = recorded.outlined()
    table = known.tracks[0, 0]["update.ratio"]
    assert 64 < len(table) < STEPS / 20
    assert (table.values == table.steps[:, None]).all()


def test_what_the_chapters_tell_is_not_looked_at_in_the_history(recorded):
    loss = recorded.history.tracks[0, 0]["loss.train"]
    told = loss.until(recorded.reached())
    assert told > STEPS / 2
    loss.values[: told - 1000] = 1e9
    known, _ = recorded.outlined()
    assert np.nanmax(known.tracks[0, 0]["loss.train"].scalar) == 1.0


@pytest.mark.parametrize("harm", ["no commit", "a damaged overview", "a chapter that cannot be read"])
def test_without_whole_chapters_it_comes_from_the_history(recorded, harm):
    data = bytearray(recorded.path.read_bytes())
    if harm == "no commit":
        recorded.writer.end = 0
    else:
        kind = Overview if "overview" in harm else Chapter
        at = [piece.start for piece in pieces(bytes(data), len(PRELUDE)) if isinstance(piece.frame, kind)][-1]
        data[at + 40] ^= 1
        recorded.path.write_bytes(data)
    known, _ = recorded.outlined()
    mine, whole = known.tracks[0, 0]["loss.train"], recorded.history.tracks[0, 0]["loss.train"]
    assert (mine.steps[0], mine.steps[-1]) == (1, STEPS)
    assert np.nanmin(mine.scalar) == np.nanmin(whole.scalar)


def test_overviews_of_an_older_writer_have_their_number_of_records_from_what_was_measured():
    values = np.array([[1, np.nan, 3], [4, 5, 6]], np.float32)
    made = Buckets.of(np.arange(3), np.arange(3.0), values)
    frame = made.frame(1, 0, 0)
    assert isinstance(frame, Overview)
    frame.records = b""
    read = Buckets.read(frame)
    assert read is not None
    assert read.records.tolist() == made.records.tolist() == [3]
