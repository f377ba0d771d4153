"""Conducts a check: ``python -m nnwatch.check.conduct JOB``, in the place of the user's command.

The launcher watches it as it would the command. Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..folders import write_json
from ..job import options
from ..trial import NAMES, done, impossible
from .child import Child, adopt, prepare
from .enclosure import Enclosure
from .pen import Pen
from .plan import Plan
from .progress import Progress
from .second import FIRST, LEAST, SAME, SECOND, Pace, lengths, too_late, too_short
from .trouble import trouble

AS_IS = 0.2
"""Share of the whole time for the steps of the script."""
REPEATING = 0.75
"""The same for the run on one batch, where there has to be one."""
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INSIDE = ("custom", "model", "data", "baselines", "gradient", "overfit", "input", "scheduler")


class Conductor:
    """Runs the script as often as it takes, one run after the other: a GPU is nobody else's meanwhile."""

    def __init__(self, job: Path) -> None:
        self._job = job
        _leave_boot(job)
        self._plan = Plan.load(job)
        self._began = time.monotonic()
        self._rings: list[str] = options(job)["rings"]
        self._pen = Pen(self._rings)
        self._progress = Progress(sys.stderr)
        self._told: set[str] = set()
        self._later: list[dict[str, Any]] = []
        self._first: dict[str, Any] = {}
        """The last word of the first run."""
        self._step = 0

    def run(self) -> int:
        try:
            self._enclosure = Enclosure(self._job, self._plan.folders, self._rings, self._plan.uncontained)
        except RunError as error:
            self._progress.say(str(error))
            return 2
        try:
            if self._as_is():
                self._contained()
                if self._plan.wants("overfit") and not self._first["captured"]:
                    self._repeat()
                if self._plan.wants("twice", "range"):
                    self._again()
        except RunError as error:
            self._progress.say(str(error))
            return 2
        finally:
            self._progress.clear()
            self._enclosure.close()
            self._pen.close()
        return 0

    def _left(self, share: float = 1.0) -> float:
        """Seconds until this share of the time is over."""
        return max(1.0, share * self._plan.seconds - (time.monotonic() - self._began))

    # the runs

    def _as_is(self) -> bool:
        """The first run: an ordinary session, and the experiments in its process. False if it did not come to its end.

        Raises RunError where nothing is to be told.
        """
        plan, now = self._plan, time.time()
        steps = plan.steps if plan.wants(*_INSIDE) else SAME
        settings = {"role": "first", "told": str(self._job / "told"), "steps": steps, "only": plan.only}
        settings |= {"seconds": AS_IS * plan.seconds, "end": now + self._left(FIRST)}
        boot = self._job / "boot" / "settings.json"
        write_json(boot, json.loads(boot.read_text()) | {"check": settings, "compiled_layers": True})
        child = Child(self._job, plan.command, self._enclosure)
        code = child.wait(self._left(), self._hear)
        if not self._first:
            why = trouble(plan.command, code, self._step, child.printed)
            if not self._step:
                raise RunError(why)
            self._progress.say(why)
        return bool(self._first)

    def _repeat(self) -> None:
        """A run on one batch, where no step of the script could be captured."""
        known = next(data for data in self._later if data["trial"] == "overfit")
        told = self._job / "repeat" / "told"
        end = time.time() + self._left(REPEATING)
        settings = {"role": "repeat", "told": str(told), "line": known["line"], "end": end}
        place = prepare(self._job, "repeat", settings)
        child = Child(place, self._plan.command, self._enclosure)
        child.wait(self._left(REPEATING) + 5, lambda word: self._hear(word, again=True))
        shutil.rmtree(place)
        if "overfit" not in self._told:
            self._trial(known)

    def _contained(self) -> None:
        found = {key: self._first[key] for key in ("connections", "loaded")}
        self._trial(done("containment", how=self._enclosure.how, written=self._enclosure.written(), **found))

    def _again(self) -> None:
        """The second run: the same steps, and the range test."""
        first, pace = self._first["losses"], Pace(self._first["loading"], self._first["pace"])
        began = time.monotonic() - self._began
        ends = self._first["left"] == "end" and (not self._first["loader"] or len(first) > 2 * LEAST)
        # what a loader gives can be given again, but for a loop that counts its steps
        same, ramp = lengths(self._left(SECOND), pace, len(first), ends, self._plan.wants("range"))
        last: dict[str, Any] = {}

        def hear(word: dict[str, Any]) -> None:
            last.update(word if "left" in word else {})
            self._hear(word, again=True)

        if ramp or self._plan.wants("twice"):
            told = self._job / "again" / "told"
            settings = {"role": "again", "told": str(told), "same": same, "ramp": ramp, "least": LEAST}
            place = prepare(self._job, "again", settings | {"end": time.time() + self._left(SECOND)})
            child = Child(place, self._plan.command, self._enclosure)
            code = child.wait(self._left(), hear)
            printed = child.printed
            shutil.rmtree(place)
            self._trial(_twice(first, last["losses"], same) if last.get("losses") else impossible(
                "twice", f"the second run of the script told nothing: {trouble(self._plan.command, code, 0, printed)}"
            ))  # fmt: skip
        if "range" not in self._told:
            if last.get("left") == "end" or (ends and not last):
                why = too_short(len(first))
            else:
                pace = pace._replace(step=last.get("pace") or pace.step)
                why = too_late(pace, began, self._plan.seconds, last.get("ramped", 0), ramp)
            self._trial(impossible("range", why))

    # what they tell

    def _hear(self, word: dict[str, Any], again: bool = False) -> None:
        if not again:
            self._step = max(self._step, word.get("step") or 0)
            if "left" in word:
                self._first = word
        if "say" in word:
            self._progress.show(word["say"])
        elif word.get("trial") == "overfit" and word["state"] != "done" and not again:
            self._later.append(word)  # there is another way
        elif "trial" in word:
            self._trial(word)

    def _trial(self, data: dict[str, Any]) -> None:
        if (data["trial"] in NAMES and self._plan.wants(data["trial"])) or data["trial"] == "containment":
            self._told.add(data["trial"])
            self._pen.trial(data, self._step)


def _twice(first: list[float], second: list[float], same: int) -> dict[str, Any]:
    """The losses of two runs side by side."""
    compared = min(len(first), len(second), same)
    parted = next((n + 1 for n in range(compared) if first[n] != second[n]), None)
    return done("twice", steps=compared, parted=parted, losses=[first[:compared], second[:compared]])


def _leave_boot(job: Path) -> None:
    """This process was started as the script is; each run of the script has a boot folder of its own, and no other."""
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(part for part in parts if part != str(job / "boot"))


def _stop(number: int, frame: object) -> None:
    """The first signal ends it; a second one would only disturb the clearing up."""
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> int:
    for each in _ENDS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _stop)
    adopt()
    return Conductor(Path(sys.argv[1])).run()


if __name__ == "__main__":
    sys.exit(main())
