"""Lists of runs for the screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnwatch import ledger
from nnwatch.card import Card
from nnwatch.history import History
from nnwatch.report import Summary
from nnwatch.tui.library import Library, RunRow

from .recording import START
from .sessions import SESSIONS

RUNS = [
    RunRow("digits-1", "running", START, 1200, 2.3, "error learning rate too high", "/a/digits-1.nnw"),
    RunRow("digits-0", "finished", START, None, None, "", "/a/digits-0.nnw"),
]


def read(path: str) -> History:
    """A made-up run by the name of its file; one of them is gone."""
    if path.endswith("digits-0.nnw"):
        raise ValueError("/a/digits-0.nnw: cannot be read")
    history = History()
    for frame in SESSIONS[{"digits-1": "faulty", "over": "overfitting"}.get(Path(path).stem, Path(path).stem)]():
        history.apply(frame)
    return history


def compared(paths: Sequence[str]) -> str:
    return f"compared {' '.join(paths)}"


LIBRARY = Library(lambda: RUNS, read, compared)


def _told(paths: Sequence[str]) -> str:
    cards = [Card(path, Path(path).stem, path, ["python", "train.py"], "/", START) for path in paths]
    return ledger.text(ledger.told([Summary(read(card.session), card) for card in cards]))


RECORDED = Library(
    lambda: [
        RunRow("overfitting", "finished", START + 7_200, 9_400, 0.0146, "warn overfitting", "/a/overfitting.nnw"),
        RunRow("healthy", "finished", START + 3_600, 3_000, 0.11, "", "/a/healthy.nnw"),
        RunRow("faulty", "running", START, 1_200, 2.28, "error learning rate too high", "/a/faulty.nnw"),
    ],
    read,
    _told,
)
"""Runs that can be opened, overlaid and compared as on the real screen."""
