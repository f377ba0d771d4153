"""The script as it is for some steps, then the experiments, and the end of the process."""

from __future__ import annotations

import atexit
import os
from time import CLOCK_BOOTTIME, clock_gettime, time
from typing import Any

from nnwatch.trial import done, impossible

from ..emit import start_ticks
from ..standby import Standby
from .captured import Step, own
from .connections import Connections
from .custom import Applied
from .end import End, leave, rank
from .experiments import EXPERIMENTS
from .recorder import Recorder
from .subject import Experiment, NotPossibleError, Subject
from .voice import Voice

EVERY = 25
"""Steps from one line of progress to the next."""


class Rehearsal:
    """``settings``: ``told`` (path), ``steps``, ``seconds`` (that they may take, from the first on), ``end`` (of the
    experiments, in seconds since 1970) and ``only`` (names; all if empty)."""

    def __init__(self, standby: Standby, settings: dict[str, Any]) -> None:
        self._standby = standby
        self._voice = Voice(settings["told"])
        self._steps: int = settings["steps"]
        self._seconds: float = settings["seconds"]
        self._end = End(settings["told"])
        self._latest: float = settings["end"]
        self._only: list[str] = settings["only"]
        self._pid = os.getpid()
        self._over = False
        self._age = clock_gettime(CLOCK_BOOTTIME) - start_ticks() / os.sysconf("SC_CLK_TCK")
        """Of the process, which has imported torch, in seconds."""
        self._made = time()
        self._began = 0.0
        """When the first step was over (seconds since 1970)."""
        self._said = 0
        self._applied = Applied()
        self._connections = Connections()
        self._recorder = Recorder(standby, None, self._stepped, capture=True)
        self.own: Step | None = None
        """The step that the script itself names."""

    def begin(self) -> None:
        self._recorder.begin()
        atexit.register(self._exit)

    def take(self, model: Any, loss_fn: Any, x: Any, y: Any) -> None:
        """The script names its step: the first time counts."""
        if self.own is None:
            with self._standby.watch.training.ours():
                self.own = own(model, loss_fn, x, y)

    @property
    def _mine(self) -> bool:
        return not self._over and os.getpid() == self._pid

    def _stepped(self, optimizer: Any) -> None:
        if not self._mine:
            return
        made = self._recorder.steps
        self._began = self._began or time()
        if made >= self._said + EVERY and not rank():
            self._said = made
            self._voice.tell({"say": f"as is: step {made}, loss {self._recorder.losses[-1]:.4g}", "step": made})
        if self._end.after(made, made >= self._steps or time() > self._began + self._seconds):
            self._finish("steps" if made >= self._steps else "time")
            leave(self._standby)

    def _exit(self) -> None:
        """The script has come to its end by itself."""
        if self._recorder.steps and self._mine:
            self._finish("end")

    def _finish(self, why: str) -> None:
        self._over = True
        if rank():
            return
        loading, stepping = self._age + self._began - self._made, time() - self._began
        watch = self._standby.watch
        watch.lane.leave()
        watch.training.tell()
        with watch.training.ours():
            applied, recorder = self._applied.calls, self._recorder
            subject = Subject(watch, recorder, self.own, applied, self._latest, self._voice.say)
            for name, experiment in EXPERIMENTS:
                if not self._only or name in self._only:
                    self._voice.say(f"{name} ...")
                    self._voice.tell(made(name, experiment, subject))
        known = {"step": recorder.steps, "losses": recorder.losses, "planned": watch.script.told("planned_steps")}
        captured = recorder.step is not None or self.own is not None
        known |= {"connections": [*self._connections.opened], "loaded": watch.checkpoints.files}
        known |= {"loading": loading, "pace": stepping / max(1, recorder.steps - 1)}
        loader = self._standby.lane.trained_on is not None
        self._voice.tell({"left": why, "captured": captured, "loader": loader, **known})


def made(name: str, experiment: Experiment, subject: Subject) -> dict[str, Any]:
    """The data of one trial."""
    try:
        return done(name, **experiment(subject))
    except NotPossibleError as error:
        return impossible(name, error.why, error.line)
    except Exception as error:
        return impossible(name, f"it failed ({type(error).__name__}: {error})")
