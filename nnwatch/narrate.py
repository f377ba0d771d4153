"""What a run has to say, line by line as it happens: standard error without a screen, replays without a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from signal import Signals

from .frame import SEVERITIES, End, Event, Finding, Frame, Remedy
from .printable import printable


def remedy(advice: Remedy) -> str:
    return f"{advice.title}: {advice.change}. Expect: {advice.expect}"


def ending(end: End) -> str:
    """How a run ended, in a few words."""
    how: str = end.status
    if end.status == "failed":
        how = f"failed with exit code {end.exit}"
    elif end.status == "killed":
        try:
            how = f"was ended by {Signals(end.signal or 0).name}"
        except ValueError:
            how = f"was ended by signal {end.signal}"
    return f"{how} ({end.cause})" if end.cause else how


class Narrator:
    """Tells of findings as they open, change and resolve, and of what went wrong with the watching itself."""

    def __init__(self) -> None:
        self._told: dict[int, Finding] = {}

    def tell(self, frame: Frame) -> Iterator[str]:
        """Lines about one frame; most frames have none. Continuation lines are indented."""
        return map(printable, self._lines(frame))

    def _lines(self, frame: Frame) -> Iterator[str]:
        if isinstance(frame, Event):
            if frame.name in ("notice", "node", "stopping"):
                yield str(frame.data.get("text", ""))
            elif frame.name == "overflow":
                yield f"{frame.data.get('dropped')} records came faster than they could be taken, and are missing"
            elif frame.name == "probe.failed":
                probe, error = frame.data.get("probe"), frame.data.get("error")
                yield f"probe {probe} switched itself off ({error}); training goes on"
        elif isinstance(frame, Finding):
            yield from self._finding(frame)

    def _finding(self, now: Finding) -> Iterator[str]:
        before = self._told.get(now.id)
        self._told[now.id] = now
        at = f"step {now.last_step:,}"
        if now.status == "resolved":
            if before is not None and before.status == "open":
                yield f"{at}  resolved {now.rule}"
        elif before is None or before.status == "resolved":
            yield f"{at}  {now.severity.upper()} {now.rule}: {now.title}: {now.what}"
            if now.explained_by is not None and now.explained_by in self._told:
                yield f"  explained by {self._told[now.explained_by].rule}"
                return
            if now.severity == "info":  # a fact, nothing to be done at once: the report has the rest
                return
            if now.why:
                yield f"  because {now.why}"
            yield from (f"  do: {remedy(advice)}" for advice in now.remedies)
        elif before.severity != now.severity:
            worse = SEVERITIES.index(now.severity) > SEVERITIES.index(before.severity)
            yield f"{at}  {'worse' if worse else 'better'}: {now.rule} is now {now.severity.upper()}: {now.what}"
