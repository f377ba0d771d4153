import contextlib
import os
import signal
import time

import pytest

from .doors import Home


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
    time.sleep(0.01)
