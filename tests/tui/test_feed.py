"""The newest of a long recording is looked at while the rest of it is read."""

from threading import Event, Semaphore

import pytest

from nnwatch import chapter
from nnwatch.follow import FileSource
from nnwatch.frame import Commit
from nnwatch.session import Writer
from nnwatch.tui.feed import Feed

from ..nnwatch.doors import PATIENCE
from .recording import Frames, write
from .sessions import SESSIONS


class Held(FileSource):
    """Reads when it is let."""

    def __init__(self, path):
        super().__init__(path, follow=False)
        self.may_read = Event()

    def read(self):
        assert self.may_read.wait(PATIENCE)
        return super().read()


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(chapter, "_FRAMES", 16)
    path = tmp_path / "s.nnw"
    writer = Writer(path)
    flush = []
    for frame in SESSIONS["overfitting"]():
        flush.append(frame)
        if isinstance(frame, Commit):
            writer.append(flush[:-1], frame)
            flush = []
    writer.close()
    return path


def test_the_newest_is_shown_until_all_is_read(session, monkeypatch):
    monkeypatch.setattr("nnwatch.follow._RECENT", 10)
    source = Held(session)
    feed = Feed(source)
    whole = feed.history
    feed.start()
    while feed.history is whole:
        pass
    recent = feed.history
    assert recent.main is not None
    assert recent.main["loss.train"].steps[-1] > 1000
    assert recent.main["loss.train"].steps[0] > 1
    assert recent.run is not None
    source.may_read.set()
    assert feed.caught_up.wait(PATIENCE)
    assert feed.history is whole
    assert whole.replaced > recent.replaced
    assert whole.main is not None
    assert whole.main["loss.train"].steps[0] == 1
    shown = recent.main["loss.train"].scalar
    assert whole.main["loss.train"].scalar[-len(shown) :].tolist() == shown.tolist()
    feed.stop()


def test_a_short_one_is_read_at_once(tmp_path):
    write(tmp_path / "s.nnw", SESSIONS["overfitting"]()[:12])
    feed = Feed(FileSource(tmp_path / "s.nnw", follow=False))
    whole = feed.history
    feed.start()
    assert feed.caught_up.wait(PATIENCE)
    assert feed.history is whole
    assert whole.replaced == 0
    feed.stop()


class Counted(Frames):
    """Tells how often it was asked."""

    asked = 0

    def read(self):
        self.asked += 1
        return super().read()


def test_news_is_told_when_there_is_some_and_not_otherwise(monkeypatch):
    monkeypatch.setattr("nnwatch.tui.feed.PERIOD", 0.001)
    source = Counted(SESSIONS["overfitting"]()[:12])
    feed, told = Feed(source), Semaphore(0)
    feed.news = told.release
    feed.start()

    def quiet():
        """Whether nothing is told while the source is asked again and again."""
        before = source.asked
        while source.asked < before + 5:
            pass
        return not told.acquire(blocking=False)

    assert told.acquire(timeout=PATIENCE)
    assert feed.caught_up.wait(PATIENCE)
    assert told.acquire(timeout=PATIENCE)
    assert quiet()
    source.waiting = SESSIONS["overfitting"]()[12:14]
    assert told.acquire(timeout=PATIENCE)
    assert quiet()
    source.at_the_end = "the line is cut"
    assert told.acquire(timeout=PATIENCE)
    assert quiet()
    feed.stop()
