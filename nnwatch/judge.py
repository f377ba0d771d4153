"""The advisor in the monitor: it looks at what is new, once it is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import settings
from .frame import Frame
from .parts import Parts
from .recorder import Recorder


class Judge:
    """Of the run of folder ``job`` that the ``recorder`` holds, by the settings that its user ``wanted``; what is wrong
    with these is told to ``complain``. The advisor is loaded with the first training: it brings scipy."""

    def __init__(
        self, job: Path, recorder: Recorder, wanted: dict[str, Any], parts: Parts, complain: Callable[[str], None]
    ) -> None:
        self._job = job
        self._recorder = recorder
        self._history = recorder.history
        self._wanted = wanted
        self._parts = parts
        self._complain = complain
        self._advisor: Any = None
        self._seen = -1

    def look(self) -> None:
        """Record what the advisor says to all that came since the last look."""
        if self._parts.off("advisor") or self._history.version == self._seen:
            return
        if self._history.tracks or self._history.end is not None:
            for frame in self._parts.attempt("advisor", self._advice) or []:
                self._recorder.take(frame)
        self._seen = self._history.version

    def _advice(self) -> list[Frame]:
        if self._advisor is None:
            self._advisor = self._made()
        return list(self._advisor.judge(self._history))

    def _made(self) -> Any:
        if (self._job / "check.json").exists():
            from nnwatch.advisor.examine import Examiner

            return Examiner()
        from nnwatch.advisor.engine import Advisor

        rules, targets, complaints = settings.rules(self._wanted)
        for text in complaints:
            self._complain(text)
        return Advisor(rules, targets)
