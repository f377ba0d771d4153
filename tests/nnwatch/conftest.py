import contextlib
import os
import signal

import pytest

from nnwatch import job as jobs

from .doors import Home, until


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
