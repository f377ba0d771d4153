"""A list of runs for the screen, one of which cannot be read."""

from __future__ import annotations

from nnwatch.history import History
from nnwatch.tui.library import Library, RunRow

from .recording import START
from .sessions import SESSIONS

RUNS = [
    RunRow("digits-1", "running", START, 1200, 2.3, "error learning rate too high", "/a/digits-1.nnw"),
    RunRow("digits-0", "finished", START, None, None, "", "/a/digits-0.nnw"),
]


def read(path):
    """A run that is there, or one whose recording is gone."""
    if path.endswith("digits-0.nnw"):
        raise ValueError("/a/digits-0.nnw: cannot be read")
    history = History()
    for frame in SESSIONS["overfitting" if path.endswith("over.nnw") else "faulty"]():
        history.apply(frame)
    return history


def compared(paths):
    return f"compared {' '.join(paths)}"


LIBRARY = Library(lambda: RUNS, read, compared)
