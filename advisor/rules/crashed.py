"""crashed."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found
from ..rule import Rule

FIX = "Fix the exception"
MEMORY = "Use less memory"
RESUME = "Start again from the last checkpoint"
STOPPED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The script ended with an exception, a non-zero exit status, or was killed.

    Why it matters
        A run that ended early looks like one that finished when nobody watched it; what it had to learn is missing.

    How it is decided
        The launcher is the script's parent and knows how it ended; the exception was seen where it left the script.

    When it is a false alarm
        A stop by hand (Ctrl+C, SIGTERM of a scheduler) is told as a fact, not as a fault. A script that ends with a
        non-zero status on purpose is reported all the same.

    What to do
        The exception's own line says it. Killed without one (SIGKILL) is nearly always the kernel's or the scheduler's
        memory limit: a smaller batch, fewer loader workers, or more memory.
    """
    end = at.end
    if end is None:
        raise Abstain("the job is still running")
    if end.status not in ("failed", "killed", "lost") or at.history.main not in (at.track, None):
        return None
    exceptions = at.events("exception")
    raised = exceptions[-1].data if exceptions else {}
    kind, message = str(raised.get("type", "")), str(raised.get("message", "")).strip()
    memory = "out of memory" in message.lower() or kind in ("MemoryError", "OutOfMemoryError")
    memory = memory or end.signal == signal.SIGKILL
    if end.signal in STOPPED or kind in ("KeyboardInterrupt", "SystemExit"):
        severity, what = "info", f"stopped from outside at step {at.step}"
    elif kind:
        severity, what = "fatal", f"{kind} at step {at.step}: {message.splitlines()[0] if message else 'no message'}"
    elif end.signal:
        severity, what = "fatal", f"killed by {_name(end.signal)} at step {at.step}"
    elif end.status == "lost":
        severity, what = "error", f"the job vanished after step {at.step}; how it ended is not known"
    else:
        severity, what = "fatal", f"the script ended with exit status {end.exit} at step {at.step}"
    planned = f" of {at.planned}" if at.planned else ""
    size = at.view("batch.size").scalar[-1] if at.has("batch.size") else None
    batch = f"batch {size:.0f} → {max(1, size // 2):.0f}" if size is not None else "the batch → half of it"
    remedy = (
        Remedy(MEMORY, batch, "the step that failed passes, and memory stays under its limit")
        if memory
        else Remedy(FIX, f"{kind or 'the failure'} → the cause its traceback names", f"training passes step {at.step}")
    )
    return Found(
        severity,  # type: ignore[arg-type]
        what,
        (end.cause or f"the job is {end.status}: exit status {end.exit}, signal {end.signal}",),
        at.step,
        (Evidence("loss.train", float(at.step), at.planned, f"steps taken{planned}", 0, at.step),),
        (remedy, Remedy(RESUME, "from step 1 → from the last checkpoint", f"the run passes step {at.step}")),
        "If it fails at the same step again, run that batch alone; if at another, look at memory and disk.",
        title="stopped" if severity == "info" else None,
        exact=True,
    )


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
    (FIX, MEMORY, RESUME),
    "The launcher's wait status and the exception as it left the script.",
    check,
    votes=(1, 1),
)
