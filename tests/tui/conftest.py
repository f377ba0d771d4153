import time

import pytest


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    """Local time is UTC, and what a test says from then on."""

    def be(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    be("UTC")
    yield be
    monkeypatch.undo()
    time.tzset()
