"""A viewer on the run's own machine: the file first, then the socket, every frame once."""

import pytest

from nnwatch import chapter
from nnwatch.dial import Unix
from nnwatch.follow import NearSource
from nnwatch.frame import Event, pack
from nnwatch.parser import PRELUDE, SessionError, pieces
from nnwatch.retold import Chapter

from .doors import until
from .serving import Job, event, numbers


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(chapter, "_FRAMES", 8)
    made = Job(tmp_path)
    yield made
    made.close()


def taken(source, most):
    """Numbers of the events, as soon as there are so many."""
    found: list[int] = []

    def enough():
        found.extend(numbers(source.read()))
        return len(found) >= most

    until(enough)
    return found


def test_what_lies_in_the_file_comes_from_there_and_the_rest_by_the_socket(job):
    for _ in range(30):
        job.grow(3)
    assert any(isinstance(piece.frame, Chapter) for piece in pieces(job.session.read_bytes(), len(PRELUDE)))
    source = NearSource(Unix(str(job.path)), job.session)
    assert taken(source, 90) == [*range(1, 91)]
    job.grow(5)
    assert taken(source, 5) == [*range(91, 96)]
    job.restart()
    job.grow(40)
    assert taken(source, 40) == [*range(96, 136)]
    assert source.lost is None
    source.close()


def test_the_newest_is_there_before_anything_is_read(job):
    for _ in range(30):
        job.grow(3)
    source = NearSource(Unix(str(job.path)), job.session)
    assert numbers(source.recent()) == [*range(1, 91)]  # an event is no number: all are told
    assert taken(source, 90) == [*range(1, 91)]
    source.close()


def test_what_was_not_committed_is_left_for_the_socket(job):
    """The bytes of a flush that the next monitor will cut off and write anew."""
    job.grow(3)
    with job.session.open("ab") as file:
        file.write(pack(event(99)))
    source = NearSource(Unix(str(job.path)), job.session)
    with job.session.open("r+b") as file:
        file.truncate(job.writer.end)
    job.grow(2)
    assert taken(source, 5) == [1, 2, 3, 4, 5]
    source.close()


def test_a_file_whose_frames_cannot_be_counted_says_so_and_doubles_nothing(job):
    job.grow(3)
    [first, *_] = [p for p in pieces(job.session.read_bytes(), len(PRELUDE)) if isinstance(p.frame, Event)]
    with job.session.open("r+b") as file:
        file.seek(first.start + 20)
        file.write(b"\0")
    source = NearSource(Unix(str(job.path)), job.session)
    assert taken(source, 2) == [2, 3]
    assert source.read() == []
    assert source.lost is not None
    assert "damaged in 1 place" in source.lost
    source.close()


def test_a_file_that_is_not_there_yet_is_none(job, tmp_path):
    with pytest.raises(SessionError):
        NearSource(Unix(str(job.path)), tmp_path / "none.nnw")
