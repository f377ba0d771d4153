"""The script as it is for some steps, then the experiments, and the end of the process."""

from __future__ import annotations

import atexit
import os
import sys
from time import time
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from nnwatch.trial import done, impossible

from ..standby import Standby
from .experiments import EXPERIMENTS
from .subject import NotPossibleError, Subject
from .voice import Voice


class Rehearsal:
    def __init__(self, standby: Standby, settings: dict[str, Any]) -> None:
        self._standby = standby
        self._voice = Voice(settings["told"])
        self._steps: int = settings["steps"]
        self._until: float = settings["until"]
        self._pid = os.getpid()
        self._over = False

    def begin(self) -> None:
        # After the hook of the probes, which then has counted the step.
        register_optimizer_step_post_hook(self._stepped)
        atexit.register(self._exit)

    def _stepped(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        watch = self._standby.made
        if watch is None or self._over or os.getpid() != self._pid:
            return
        if watch.step >= self._steps or time() > self._until:
            self._finish("it had made the steps that were wanted")
            self._leave()

    def _exit(self) -> None:
        """The script has come to its end by itself."""
        watch = self._standby.made
        if watch is not None and watch.step and not self._over and os.getpid() == self._pid:
            self._finish("the script ended")

    def _finish(self, why: str) -> None:
        self._over = True
        watch = self._standby.watch
        watch.lane.leave()
        with watch.training.ours():
            subject = Subject(watch.training, self._until, self._voice.say)
            for name, experiment in EXPERIMENTS:
                self._voice.tell(self._made(name, experiment, subject))
        self._voice.tell({"left": why, "step": watch.step})

    def _made(self, name: str, experiment: Any, subject: Subject) -> dict[str, Any]:
        try:
            return done(name, **experiment(subject))
        except NotPossibleError as error:
            return impossible(name, error.why, error.line)
        except Exception as error:
            return impossible(name, f"{type(error).__name__}: {error}")

    def _leave(self) -> None:
        """Nothing of the script runs after this: no ``finally``, no checkpoint, no exit handler."""
        self._standby.watch.exit()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)
