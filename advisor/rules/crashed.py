"""crashed."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping

from nnwatch.frame import Event, Evidence, Remedy, Severity
from nnwatch.printable import printable

from ..changes import restore
from ..context import Context
from ..finding import Abstain, Found
from ..rule import Rule

FIX = "Fix the exception"
MEMORY = "Use less memory"
RESUME = "Start again from the last checkpoint"
SAVE = "Save checkpoints"
NOT_YOURS = re.compile(r"/(site|dist)-packages/|/lib/python3|/nnwatch/probes/")
"""Installed packages, the standard library, and the probes that a call passed through."""
BY_HAND = "killed from the screen"
"""What the launcher says where the user chose so."""
BY_CTRL_C = "interrupted by Ctrl+C"
"""What it says of a non-zero exit status after SIGINT: frameworks catch the signal."""
BY_ANOTHER = "killed by another process"
"""How the launcher's word on a SIGKILL begins where the kernel counted no kill for want of memory."""
BY_SCHEDULER = "Slurm ends job"
"""How the launcher's word begins on an end that the scheduler has asked for (`nnwatch/stopping.py`)."""
PEER = re.compile(
    r"connection (was )?(reset|closed|refused)|broken pipe|remote (process|worker)|nccl.*(remote|abort)", re.I
)
"""What a rank's exception says when another rank is gone."""
STOPPED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The script ended with an exception, a non-zero exit status, or was killed.

    Why it matters
        A run that ended early looks like one that finished when nobody watched it; what it had to learn is missing.

    How it is decided
        The launcher is the script's parent and knows how it ended; the exception was seen where it left the script. Of
        several ranks the one counts that failed by itself: a connection lost to another rank is a consequence.

    When it is a false alarm
        A stop by hand (Ctrl+C, SIGTERM of a scheduler) is told as a fact, not as a fault. A script that ends with a
        non-zero status on purpose is reported all the same.

    What to do
        The exception's own line says it. Killed without one (SIGKILL) is nearly always the kernel's or the scheduler's
        memory limit: a smaller batch, fewer loader workers, or more memory. Where the kernel's counter shows that it
        was not for want of memory, look for who sent the signal.
    """
    end = at.end
    if end is None:
        raise Abstain("the job is still running")
    if end.status not in ("failed", "killed", "lost") or at.history.main not in (at.track, None):
        return None
    exceptions = _exceptions(at)
    own = [event for event in exceptions if not PEER.search(str(event.data.get("message", "")))]
    raised = (own or exceptions)[-1].data if exceptions else {}
    kind, message = str(raised.get("type", "")), str(raised.get("message", "")).strip()
    scheduled = end.cause.startswith(BY_SCHEDULER)
    chosen = end.cause == BY_HAND or (end.cause == BY_CTRL_C and not exceptions)
    if end.signal in STOPPED or chosen or kind in ("KeyboardInterrupt", "SystemExit") or scheduled:
        how = _name(end.signal) if end.signal else kind or "the end"
        why = end.cause if scheduled else f"{how} came from outside"
        return _found("info", at, f"stopped from outside at step {at.step}", why, (_resume(at),), title="stopped")
    severity: Severity = "fatal"
    if exceptions and not own and (silent := _silent(at, {event.rank for event in exceptions})):
        named = f"rank {', '.join(map(str, silent[:4]))}"
        what = f"{named} ended at step {at.step} without an exception; the others lost their connection to it"
        why = f"{kind} of rank {exceptions[-1].rank} is what a rank sees when another is gone"
        fix = Remedy(
            FIX, f"what ended {named} (a kill for want of memory, os._exit, the scheduler) → gone", _passes(at)
        )
    elif kind:
        place = _place(str(raised.get("traceback", "")))
        what = f"{kind} at step {at.step}{f', {place}' if place else ''}: {_first_words(message)}"
        why = f"the exception left the script, which ended with exit status {end.exit}"
        fix = Remedy(FIX, f"{kind} at {place or 'the line its traceback names'} → gone", _passes(at))
    elif end.signal:
        what, why = f"killed by {_name(end.signal)} at step {at.step}", "no exception was seen before it"
        fix = Remedy(FIX, f"what sent {_name(end.signal)} → gone", _passes(at))
    elif end.status == "lost":
        severity, what = "error", f"the job vanished after step {at.step}"
        why = "its processes are gone and nobody was told how they ended"
        fix = Remedy(FIX, "a host or scheduler that ended it → its log looked at", _passes(at))
    else:
        what, why = f"the script ended with exit status {end.exit} at step {at.step}", "no exception was seen"
        fix = Remedy(FIX, f"what made the script leave with status {end.exit} → gone", _passes(at))
    memory = "out of memory" in (message + end.cause).lower() or kind in ("MemoryError", "OutOfMemoryError")
    if memory or (end.signal == signal.SIGKILL and not end.cause.startswith(BY_ANOTHER)):
        size = at.view("batch.size").scalar[-1] if at.has("batch.size") else None
        batch = f"batch {size:.0f} → {max(1, size // 2):.0f}" if size is not None else "the batch → half of it"
        fix = Remedy(MEMORY, batch, _passes(at))
    return _found(severity, at, what, end.cause or why, (fix, _resume(at)) if at.step else (fix,))


def _exceptions(at: Context) -> list[Event]:
    """Those of all ranks of the segment, by time."""
    segment = at.track.segment.segment
    found = [e for e in at.history.events if e.name == "exception" and e.segment == segment]
    return sorted(found, key=lambda event: event.time)


def _silent(at: Context, raised: set[int]) -> list[int]:
    """Ranks of the segment that said nothing of an exception."""
    segment = at.track.segment.segment
    return sorted(rank for number, rank in at.history.tracks if number == segment and rank not in raised)


def _found(
    severity: Severity, at: Context, what: str, why: str, remedies: tuple[Remedy, ...], title: str | None = None
) -> Found:
    again = "If it fails at the same step again, run that batch alone; if at another, look at memory and disk."
    last: tuple[Evidence, ...] = ()
    if at.has("loss.train"):
        last = (Evidence("loss.train", float(at.loss.scalar[-1]), None, "the last loss", at.step, at.step),)
    return Found(severity, what, (why,), at.step, last, remedies, again, title=title, exact=True)


def _passes(at: Context) -> str:
    return f"training passes step {at.step}" if at.step else "training begins"


def _resume(at: Context) -> Remedy:
    """From the checkpoint that was saved; where none was seen, that one be saved from now on."""
    if at.checkpoint(at.step) is None:
        change = "no checkpoint was seen → model, optimizer and epoch saved after each epoch"
        return Remedy(SAVE, change, f"the next end costs an epoch, not {at.step} steps")
    planned = f" of {at.planned}" if at.planned else ""
    return Remedy(RESUME, f"from step 1 → from {restore(at, at.step)}", f"it passes step {at.step}{planned} again")


def _first_words(message: str) -> str:
    """The first line of an exception's message, and the next where that one only announces it."""
    lines = [line.strip() for line in printable(message).splitlines() if line.strip()] or ["no message"]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])


def _place(traceback: str) -> str:
    """``train.py:75``: the innermost line of the user's own in the traceback; "" if there is none."""
    frames = re.findall(r'File "([^"<>]+)", line (\d+)', traceback)
    own = [f"{path.rsplit('/', 1)[-1]}:{line}" for path, line in frames if not NOT_YOURS.search(path)]
    return own[-1] if own else ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


RULE = Rule(
    "crashed",
    "the script did not finish",
    "invariant",
    ("loss.train", "batch.size"),
    (FIX, MEMORY, RESUME, SAVE),
    "The launcher's wait status and the exception as it left the script.",
    check,
    votes=(1, 1),
)
