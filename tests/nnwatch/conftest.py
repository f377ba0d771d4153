import contextlib
import os
import signal

import pytest

from nnwatch import chapter
from nnwatch import job as jobs
from nnwatch.listen import Address, TcpDoor

from .doors import Home, until
from .serving import TOKEN, Job


@pytest.fixture
def home(tmp_path):
    """A home whose processes are all gone afterwards."""
    place = Home(tmp_path)
    yield place
    for card in place.cards():
        for process in (card.launcher, card.trainer, card.monitor):
            if process is not None and process.alive:
                with contextlib.suppress(OSError):
                    os.kill(process.pid, signal.SIGKILL)
                until(lambda process=process: not process.alive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", place.env["XDG_STATE_HOME"])
        jobs.prune()  # rings of jobs that were killed as a whole


@pytest.fixture
def job(tmp_path):
    """A session that grows, and its server."""
    made = Job(tmp_path)
    yield made
    made.close()


@pytest.fixture
def port(job):
    """On which the server of ``job`` listens."""
    door = TcpDoor(Address("127.0.0.1", 0), TOKEN)
    with job.lock:
        job.server.listen(door)
    return door.address.port


@pytest.fixture
def short_chapters(monkeypatch):
    monkeypatch.setattr(chapter, "_FRAMES", 8)
    monkeypatch.setattr(chapter, "_RECORDS", 7)
    monkeypatch.setattr(chapter, "SPAN", 3)
    monkeypatch.setattr("nnwatch.overview.RECORDS", 4)
