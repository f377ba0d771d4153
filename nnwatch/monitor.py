"""The monitor, one per job: rings and machine in; session, findings and viewers out.

``python -m nnwatch.monitor JOB FD``. It lives in a session of its own and nothing it does costs the trainer
anything. When it dies the launcher starts another, which reads the session back and goes on behind the last
Commit. ``FD`` is a pipe to the launcher: what is written there reaches the user's standard error.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import heap, notices, stopping
from . import job as jobs
from .alert import Alerts, outlived
from .card import Card, card_path
from .ending import ended
from .entrance import open_doors
from .frame import SEVERITIES, End, Finding, Frame
from .gather import Gatherer
from .judge import Judge
from .memory import Kills
from .narrate import Narrator
from .nodes import choose
from .nodes.role import Role
from .parser import SessionError
from .parts import Parts
from .process import Process
from .recorder import Recorder
from .report import Summary, headline
from .server import Server
from .voice import Voice

FLUSH = 0.5
"""Seconds from one flush to the next while nobody looks."""
WATCHED_FLUSH = 0.1
"""The same while a viewer is there, which draws no more than ten times a second."""
_MOMENT = 0.02
_SECOND = 1.0
_CARD_EVERY = 10.0
_PATIENCE = 5.0
"""Seconds at the end for a full disk, and then for viewers that have not got everything yet."""
_NODES = 10.0
"""Seconds at the end for other nodes, which end with this one."""
_RETURN = 60.0
"""Seconds for a far viewer whose line broke to come back for the end."""
_SENDING = 10.0
"""Seconds for messages that were begun at the end."""


_OTHERS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that a scheduler sends to all processes of a job; this one has to see how the training takes them."""


class Monitor:
    def __init__(self, job: Path, voice: int) -> None:
        self.job = job
        self.card = card = Card.load(job / "job.json")
        if card.trainer is None or card.launcher is None:
            raise ValueError(f"{job}: the launcher has not started anything")
        self._trainer, self._launcher = card.trainer, card.launcher
        self._trainer_ended = False
        self._kills = Kills(self._trainer.pid)
        self._narrator = Narrator()
        self._worst = -1
        self._complained: set[str] = set()
        self._due_at: dict[str, float] = {}
        options = jobs.options(job)
        self._voice = Voice(voice, quiet=options["quiet"])
        self._rings = options["rings"]
        self._later: list[str] = []
        self._alerts = Alerts(options["on"], options["alerts"], card, self._notice_later)
        self._recorder = Recorder(job, card, self._hear)
        self._history = self._recorder.history
        self._parts = Parts(job / "monitor.log", self._recorder.notice)
        self._judge = Judge(job, self._recorder, options["settings"], self._parts, self._notice_later)
        card.session, card.monitor = str(self._recorder.path), Process.of(os.getpid())
        self._ready = selectors.DefaultSelector()
        self._server = self._parts.attempt("socket", lambda: self._serve(options["listen"]))
        self._watch_trainer()
        self._nodes = self._parts.attempt("nodes", lambda: self._role(options)) or Role()
        self._gatherer = Gatherer(job, card, self._trainer, options, self._recorder, self._parts, self._nodes)

    def _serve(self, listen: dict[str, Any] | None) -> Server:
        recorder = self._recorder
        server = Server(recorder.path, self.card.id, recorder.number, recorder.end, self._ready, self._history)
        open_doors(server, self.card, self.job, listen, recorder.notice)
        return server

    def _role(self, options: dict[str, Any]) -> Role:
        return choose.role(options, self.card, self.job, self._recorder, self._server, self._ready)

    def _watch_trainer(self) -> None:
        """Wake the loop as soon as the trainer ends."""

        def gone(_: int) -> None:
            self._trainer_ended = True
            self._ready.unregister(pidfd)
            os.close(pidfd)

        try:
            pidfd = os.pidfd_open(self._trainer.pid)
        except ProcessLookupError:
            self._trainer_ended = True
        except OSError:  # a kernel without them: the end is noticed at the next flush
            pass
        else:
            self._ready.register(pidfd, selectors.EVENT_READ, gone)

    def run(self) -> None:
        """Until the job has ended and its session is complete."""
        self._save_card()
        while self._history.end is None:
            end = ended(self.job, self._trainer, self._launcher, self._kills)
            self._flush(time.time())
            if end is not None:
                self._finish(end)
            else:
                self._wait(self._pause())
        self._leave()

    def _pause(self) -> float:
        """Seconds to the next flush."""
        if self._trainer_ended:
            return _MOMENT
        return WATCHED_FLUSH if self._server is not None and self._server.watched else FLUSH

    def _wait(self, seconds: float) -> None:
        """Serve viewers for a while, less if the trainer ends."""
        deadline, ended = time.monotonic() + seconds, self._trainer_ended
        while self._trainer_ended is ended and (left := deadline - time.monotonic()) > 0:
            for key, mask in self._ready.select(left):
                key.data(mask)

    def _flush(self, now: float) -> None:
        if not self._recorder.stalled:
            self._gatherer.read(now)
            self._parts.attempt("nodes", lambda: self._take_nodes(now))
        self._judge.look()
        for text in self._later:
            self._recorder.notice(text)
        self._later.clear()
        if self._recorder.pending or abs(now - self._recorder.commit.time) >= _SECOND:  # clocks are set back, too
            self._write(now)
        if self._due("tend", _SECOND):
            self._alerts.reap()
            if self._server is not None:
                self._server.tend()
        if self._due("card", _CARD_EVERY):
            self._save_card()

    def _take_nodes(self, now: float) -> None:
        for frame in self._nodes.read(now):
            self._recorder.take(frame)

    def _due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due_at.get(what, 0.0):
            return False
        self._due_at[what] = now + every
        return True

    def _write(self, now: float) -> bool:
        before = self._recorder.number
        cursors = self._gatherer.cursors | self._nodes.cursors
        written = self._recorder.write(now, cursors, self._gatherer.dropped)
        if written:
            self._gatherer.release()
            if self._server is not None:
                self._server.advance(self._recorder.number - before, self._recorder.end)
        return written

    def _finish(self, end: End) -> None:
        """What is left in the rings, the last judgement, and the end."""
        deadline = time.monotonic() + _NODES
        while self._nodes.awaited and time.monotonic() < deadline:  # the ranks of a job end together
            self._wait(WATCHED_FLUSH)
            self._flush(time.time())
        step = -1
        while step != self._history.last_step:
            step = self._history.last_step
            self._flush(time.time())
        self._gatherer.tell_unseen()
        if (text := notices.asked_for_input(self._history)) is not None:
            self._recorder.notice(text)
        for frame in self._nodes.leave(time.time()):
            self._recorder.take(frame)
        self._history.apply(end)  # rules judge the end; what they find comes before it in the file
        self._flush(time.time())
        self._recorder.take(end)
        deadline = time.monotonic() + _PATIENCE
        while not self._write(time.time()) and time.monotonic() < deadline:
            time.sleep(0.2)
        self._save_card()
        again = self.card.attach.removeprefix("nnwatch attach ")
        summary = self._parts.attempt("summary", lambda: headline(Summary(self._history, self.card))) or []
        for line in (*summary, f"see it again: nnwatch replay {again}"):
            self._voice.say(line)
        self._alerts.finish()
        if not outlived(self._launcher):
            self._linger(_SENDING, lambda: self._alerts.busy)
        for text in self._later:  # too late for the session, whose last frame is the end
            self._voice.say(text)

    def _leave(self) -> None:
        """The launcher may go; viewers get the rest, and messages are sent."""
        self._voice.close()
        self._linger(_RETURN, self._nodes.owed)
        self._nodes.close()
        if (server := self._server) is not None:
            self._linger(_RETURN, lambda: server.missed(_RETURN))
            self._linger(_PATIENCE, lambda: server.behind)
            server.close()
        self._linger(_SENDING, lambda: self._alerts.busy)
        jobs.clear(self.job, self._rings)

    def _linger(self, seconds: float, wanted: Callable[[], bool]) -> None:
        """Serve viewers and messages for a while after the end."""
        deadline = time.monotonic() + seconds
        while wanted() and time.monotonic() < deadline:
            self._wait(WATCHED_FLUSH)
            self._alerts.reap()

    def _hear(self, frame: Frame, again: bool) -> None:
        """Each frame that is taken; ``again`` if an earlier monitor took it."""
        if isinstance(frame, Finding):
            self._worst = max(self._worst, SEVERITIES.index(frame.severity))
        self._alerts.see(frame, again=again)
        for line in self._narrator.tell(frame):
            if not again:
                self._voice.say(line)

    def _notice_later(self, text: str) -> None:
        if text not in self._complained:
            self._complained.add(text)
            self._later.append(text)

    def _save_card(self) -> None:
        self.card.until = self.card.until or stopping.until(self.job)
        self.card.latest = Summary(self._history, self.card).latest()
        if (end := self._history.end) is not None:
            worst = SEVERITIES[self._worst] if self._worst >= 0 else None
            self.card.end = {
                "status": end.status, "exit": end.exit, "signal": end.signal, "time": end.time, "worst": worst,
            }  # fmt: skip
        for path in (self.job / "job.json", card_path(Path(self.card.session))):
            with contextlib.suppress(OSError):
                self.card.save(path)


def main() -> None:
    heap.keep_none()
    for number in _OTHERS:
        signal.signal(number, lambda *_: None)  # not ignored, which the commands that it starts would inherit
    try:
        Monitor(Path(sys.argv[1]), int(sys.argv[2])).run()
    except SessionError as error:
        sys.exit(f"nnwatch: {error}")


if __name__ == "__main__":
    main()
