"""Conducts a check: ``python -m nnwatch.check.conduct JOB``, in the place of the user's command.

The launcher watches it as it would the command. Standard library only.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from ..job import options
from ..runs import RunError, write_json
from .child import Child
from .pen import Pen
from .plan import Plan


class Conductor:
    def __init__(self, job: Path) -> None:
        self._job = job
        self._plan = Plan.load(job)
        self._deadline = time.monotonic() + self._plan.seconds
        self._pen = Pen(options(job)["rings"])
        self._step = 0
        self._line = False

    @property
    def _left(self) -> float:
        return max(1.0, self._deadline - time.monotonic())

    def run(self) -> int:
        try:
            self._as_is()
        except RunError as error:
            self._say(str(error))
            return 2
        finally:
            self._clear_line()
            self._pen.close()
        return 0

    def _as_is(self) -> None:
        plan = self._plan
        boot = self._job / "boot" / "settings.json"
        now = time.time()
        settings = {"told": str(self._job / "told"), "steps": plan.steps, "only": plan.only}
        settings |= {"until": now + self._left / 4, "end": now + self._left / 2}
        write_json(boot, json.loads(boot.read_text()) | {"check": settings})
        child = Child(self._job, self._job / "console", plan.command, [])
        code = child.wait(self._left, self._hear)
        if self._step == 0:
            told = "; ".join(child.last_lines())
            raise RunError(f"no training step was seen; the script ended with exit code {code}: {told}")

    def _hear(self, word: dict[str, Any]) -> None:
        self._step = max(self._step, word.get("step", 0))
        if "say" in word:
            self._progress(word["say"])
        elif "trial" in word:
            self._pen.trial(word, self._step)

    # what the user sees

    def _progress(self, text: str) -> None:
        """One line that is written over on a terminal, lines one after the other elsewhere."""
        if sys.stderr.isatty():
            print(f"\r\x1b[2Knnwatch: {text}", end="", file=sys.stderr, flush=True)
            self._line = True
        else:
            self._say(text)

    def _clear_line(self) -> None:
        if self._line:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._line = False

    def _say(self, text: str) -> None:
        self._clear_line()
        print(f"nnwatch: {text}", file=sys.stderr, flush=True)


def main() -> int:
    try:
        return Conductor(Path(sys.argv[1])).run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
