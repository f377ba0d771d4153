"""What is happening to the run, in words: what it is, why, and what one can do next."""

from __future__ import annotations

from signal import Signals
from typing import Literal, NamedTuple

from nnwatch.history import History
from nnwatch.trial import EVENT

from .draw.grid import Ink
from .draw.text import duration
from .transcript import printed

Kind = Literal[
    "opening", "waiting", "running", "stalled", "past", "finished", "failed", "killed", "lost", "disconnected"
]


class State(NamedTuple):
    """``word`` and ``glyph`` name it; ``what`` says what goes on, ``next`` what to do, where that is not plain."""

    kind: Kind
    glyph: str
    word: str
    ink: Ink
    what: str = ""
    next: str = ""


NOTHING_OPEN = State(
    "opening",
    "·",
    "NO RUN OPEN",
    Ink.INFO,
    "no run is open yet",
    "choose one in the list: Enter opens it; 7 comes back to the list",
)
REPLAY = State("past", "▶", "REPLAY", Ink.INFO)
FROZEN = State("past", "‖", "FROZEN", Ink.WARN)
"""An earlier moment is shown: how the run ended later does not belong there."""


def last_words(history: History, most: int) -> list[str]:
    """The last lines of the traceback, or else of what the script printed."""
    event = next((event for event in reversed(history.events) if event.name == "exception"), None)
    text = str(event.data.get("traceback") or event.data.get("message") or "") if event else ""
    lines = text.splitlines()
    if not lines:
        lines = printed(history.console[-50:])
        begins = [at for at, line in enumerate(lines) if "Traceback (most recent call last)" in line]
        lines = lines[begins[-1] :] if begins else lines
    return [line for line in lines if line.strip()][-most:]


def _exception(history: History) -> str:
    """What ended the script, in a line: of a message of many lines the first says what it is about."""
    event = next((event for event in reversed(history.events) if event.name == "exception"), None)
    if event is not None and event.data.get("type"):
        message = str(event.data.get("message") or "").strip()
        return f"{event.data['type']}: {message}".splitlines()[0].rstrip(": ")
    return "".join(last_words(history, 1)).strip()


def _signal_name(number: int | None) -> str:
    if number is None:
        return "unknown signal"
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def state(history: History, lost: str | None, caught_up: bool) -> State:
    """The state of the run as far as the history says, and of the connection to it (``lost``)."""
    end = history.end
    if end is not None:
        return _ended(history)
    if lost is not None:
        return State(
            "disconnected",
            "!",
            "DISCONNECTED",
            Ink.ERROR,
            f"what came before is here; {lost}",
            "the training needs no screen: q leaves, `nnwatch attach` connects again",
        )
    if history.main is None or (history.last_step == 0 and not any(history.main.values())):
        if not caught_up and history.run is None:
            return State("opening", "…", "OPENING", Ink.INFO, "reading the session", "")
        return State(
            "waiting",
            "…",
            "WAITING",
            Ink.INFO,
            "no backward pass yet: importing, loading data, building the model",
            "charts begin with the first backward(); 6 shows what the script prints",
        )
    return _stalled(history) or State("running", "●", "RUNNING", Ink.GOOD)


def _stalled(history: History) -> State | None:
    """That the training has fallen silent, None where something came since the monitor said so."""
    track = history.main
    event = next((event for event in reversed(history.events) if event.name == "stalled"), None)
    if track is None or event is None or event.segment != track.segment.segment:
        return None
    heard = [series.times[-1] for series in track.values() if len(series)]
    if max([*heard, *(text.time for text in history.console[-1:])], default=0.0) > event.time:
        return None
    silent = float(event.data["seconds"]) + max(history.last_time - event.time, 0.0)
    where = f": it is {event.data['where']}" if event.data.get("where") else ""
    return State(
        "stalled",
        "‖",
        "STALLED",
        Ink.WARN,
        f"no step for {duration(silent)}{where}; one takes {duration(float(event.data['usual']))} otherwise",
        "5 shows whether it computes, 6 what it printed, 4 what it may wait for",
    )


def _ended(history: History) -> State:
    end = history.end
    assert end is not None
    if end.status == "finished" and any(event.name == EVENT for event in history.events):
        return State(
            "finished",
            "✓",
            "CHECKED",
            Ink.GOOD,
            "the check is over: the training was stopped after some steps",
            "4 lists what it says; q leaves",
        )
    if end.status == "finished":
        return State(
            "finished", "✓", "FINISHED", Ink.GOOD, "the script ended by itself", "Home, < and > look back; q leaves"
        )
    if end.status == "failed":
        why = _exception(history) or end.cause or f"the script ended with status {end.exit}"
        return State("failed", "✗", f"FAILED (exit {end.exit})", Ink.ERROR, why, "6 shows the traceback; q leaves")
    if end.status == "killed":
        name = _signal_name(end.signal)
        what = end.cause or (
            "killed from outside, often for using too much memory: 5 shows it"
            if name == "SIGKILL"
            else f"ended by {name}"
        )
        return State("killed", "■", f"KILLED ({name})", Ink.ERROR, what, "5 shows memory, 6 the last output; q leaves")
    return State(
        "lost",
        "?",
        "LOG ENDS HERE" if history.main is not None and history.facts_of(history.main).get("log") else "LOST",
        Ink.WARN,
        end.cause or "the recording stops here; nobody saw how the run ended",
        "look at the job itself (its log, its scheduler); q leaves",
    )
