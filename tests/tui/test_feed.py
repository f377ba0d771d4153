"""The newest of a long recording is looked at while the rest of it is read."""

from threading import Event

import pytest

from nnwatch import chapter
from nnwatch.client import FileSource
from nnwatch.frame import Commit
from nnwatch.session import Writer
from nnwatch.tui.feed import Feed

from .recording import write
from .sessions import SESSIONS


class Held(FileSource):
    """Reads when it is let."""

    def __init__(self, path):
        super().__init__(path, follow=False)
        self.may_read = Event()

    def read(self):
        assert self.may_read.wait(20)
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
    monkeypatch.setattr("nnwatch.client._RECENT", 10)
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
    assert feed.caught_up.wait(20)
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
    assert feed.caught_up.wait(20)
    assert feed.history is whole
    assert whole.replaced == 0
    feed.stop()
