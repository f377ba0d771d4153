"""Opens a run on the screen, or as text where the terminal cannot carry one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

from . import command, heap, launch, plain, runs
from .card import Card
from .client import SocketSource
from .control import Control
from .dial import Dial, Unix
from .errors import RunError
from .follow import FileSource, NearSource
from .frame import Run
from .history import History
from .parser import SessionError
from .report import Summary
from .session import Reader

if TYPE_CHECKING:
    from .logs.source import LogSource

Source = Union[SocketSource, NearSource, FileSource, "LogSource"]
Mode = Literal["live", "attach", "replay"]
_BEGINNING = 1 << 16
_START = 20.0
"""Seconds a detached launcher has to start the command."""


def live(job: Path) -> int:
    """Start the job in the background and show it. Returns its exit code (128 + signal), 0 if it still runs."""
    launch.detach(job)
    card = _started(job)
    source = SocketSource(Unix(card.socket)) if card.socket else FileSource(appeared(card), follow=True)
    assert card.trainer is not None
    history, other = _open(source, "live", card, Control(job, card.trainer))
    card = _settled(job, history)
    plain.leave(history, card)
    if other is not None:
        return show(other)
    end = card.end or {}
    return 128 + end["signal"] if end.get("signal") else end.get("exit") or 0


def _started(job: Path) -> Card:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if not (job / "job.json").exists():
            break
        card = Card.load(job / "job.json")
        if card.trainer is not None:
            return card
        if log := (job / "launch.log").read_text().strip():
            raise RunError(log.splitlines()[-1].removeprefix("nnwatch: "))
        time.sleep(0.02)
    raise RunError(f"the command did not start within {_START:g} s; try nnwatch run --headless, see {job}")


def appeared(card: Card) -> str:
    """The session of a run that has just been started, once it is there."""
    deadline = time.monotonic() + _START
    while not Path(card.session).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return card.session


def _settled(job: Path, history: History) -> Card:
    """The card, with the end on it if the run has ended: the monitor writes it a moment later."""
    deadline = time.monotonic() + 2
    while (card := Card.load(job / "job.json")).end is None and history.end is not None:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return card


def show(card: Card, mode: Mode | None = None) -> int:
    """The screen (or text) on a run that is there: over its socket where it can be reached, else its recording.

    Without ``mode``, a running one is attached to and any other replayed.
    """
    mode = mode or ("attach" if card.state == "running" else "replay")
    running = card.state in ("running", "elsewhere") or (card.format and (mode == "attach" or command.has_screen()))
    source: Source
    if mode == "attach" and card.state == "running" and Path(card.socket).exists():
        source = _near(card)
    else:
        source = _file(card, follow=bool(running))
    history, other = _open(source, mode, card, None)
    if command.has_screen():
        plain.leave(history, card)
    if other is not None:
        return show(other)
    if flaw := getattr(source, "flaw", None):
        raise RunError(flaw)
    return 0


def _near(card: Card) -> NearSource | SocketSource:
    dial = Unix(card.socket)
    try:
        return NearSource(dial, card.session)
    except SessionError:  # it has only begun, or lies where this process cannot see it
        return SocketSource(dial)


def show_far(dial: Dial, token: str) -> int:
    """The screen (or text) on a run that is reached over ``dial``. Raises RunError."""
    source = SocketSource(dial, token=token)
    source.connect()
    card = Card("", dial.where, "", [], "", time.time(), host=dial.where, attach=f"nnwatch attach {dial.where}")
    history, other = _open(source, "attach", card, None)
    if command.has_screen():
        plain.leave(history, card)
    return 0 if other is None else show(other)


def choose(title: str = "runs", cards: Callable[[], list[Card]] = runs.runs) -> int:
    """A list of runs on the screen, all known ones unless others are given, and then the one that is chosen."""
    chosen = _chosen(_app(None, "replay", title, None, cards).run())
    return 0 if chosen is None else show(chosen)


def _chosen(action: str | None) -> Card | None:
    """The run that was picked from the list on the screen, if leaving it was meant so."""
    return runs.resolve(action.removeprefix("open:")) if action and action.startswith("open:") else None


def summary(card: Card) -> tuple[Summary, str | None]:
    """A run as its session tells it so far, and what is missing of it if the file is not whole. Raises RunError."""
    source = _file(card, follow=card.state in ("running", "elsewhere"))
    history = History()
    while frames := source.read():
        for frame in frames:
            history.apply(frame)
    source.close()
    return Summary(history, card), source.flaw


def _file(card: Card, *, follow: bool) -> FileSource | LogSource:
    """The session, or the log, as a source; a file that holds no run is told of before anything opens."""
    if card.format:
        from .logs.source import LogSource

        return LogSource(card, follow=follow)
    try:
        reader = Reader(card.session)
        begins = reader.read(_BEGINNING)
        reader.close()
        if not any(isinstance(frame, Run) for frame in begins) and not (follow and not begins):
            raise RunError(f"{card.session}: no run can be read from it, its beginning is missing or damaged")
        return FileSource(card.session, follow=follow)
    except SessionError as error:
        raise RunError(str(error)) from None


def _rows(cards: Callable[[], list[Card]]) -> list[Any]:
    """The runs as the list on the screen shows them."""
    from nnwatch.tui.library import RunRow

    return [
        RunRow(
            name=card.name,
            status=card.state,
            when=card.started,
            last_step=card.last_step,
            last_loss=card.last_loss,
            verdict=" ".join(str(card.latest[key]) for key in ("severity", "finding") if card.latest.get(key)),
            path=card.session,
        )
        for card in cards()
    ]


def _app(
    source: Any, mode: Mode, title: str, control: Control | None, cards: Callable[[], list[Card]] = runs.runs
) -> Any:
    from nnwatch.tui.app import NnwatchApp
    from nnwatch.tui.library import Library

    library = Library(partial(_rows, cards), lambda path: _summary(path).history, _compare)
    return NnwatchApp(source, mode=mode, control=control, library=library, title=title)


def _summary(path: str) -> Summary:
    try:
        return summary(runs.resolve(path))[0]
    except RunError as error:
        raise ValueError(str(error)) from None


def _compare(paths: Sequence[str]) -> str:
    from . import ledger

    return ledger.text(ledger.told([_summary(path) for path in paths]))


def _open(source: Source, mode: Mode, card: Card, control: Control | None) -> tuple[History, Card | None]:
    """Show the source until the user leaves; as text if there is no terminal, or the screen fails.

    Returns what was seen, and the run that is to be shown next, if another was chosen.
    """
    if not command.has_screen():
        return plain.follow(source, card), None
    heap.keep_none()
    try:
        app = _app(source, mode, card.name, control)
        action = app.run()
    except Exception as error:
        print(f"nnwatch: the screen failed ({type(error).__name__}: {error}); as text instead:", file=sys.stderr)
        return plain.follow(source, card), None
    return app.history, _chosen(action)
