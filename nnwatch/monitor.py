"""The monitor, one per job: rings and machine in; session, findings and viewers out.

``python -m nnwatch.monitor JOB FD``. It lives in a session of its own and nothing it does costs the trainer
anything. When it dies the launcher starts another, which reads the session back and goes on behind the last
Commit. ``FD`` is a pipe to the launcher: what is written there reaches the user's standard error.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import earlier, git, heap, lineage, notices, settings
from . import job as jobs
from .alert import Alerts, outlived
from .console import Follower
from .frame import SEVERITIES, End, Event, Finding, Frame, Segment, Status
from .ingest import Ingest
from .listen import Address, TcpDoor, UnixDoor
from .memory import Kills
from .narrate import Narrator
from .parser import SessionError
from .recorder import Recorder
from .report import Summary, headline
from .runs import Card, Process, card_path
from .server import Server
from .stall import Silence
from .system import System

FLUSH = 0.5
"""Seconds from one flush to the next while nobody looks."""
WATCHED_FLUSH = 0.1
"""The same while a viewer is there, which draws no more than ten times a second."""
_MOMENT = 0.02
_SECOND = 1.0
_CARD_EVERY = 10.0
_UNSEEN = 60.0
"""Seconds after which a run without torch is told of; a run without a backward pass is at its end."""
_PATIENCE = 5.0
"""Seconds at the end for a full disk, and then for viewers that have not got everything yet."""
_RETURN = 60.0
"""Seconds for a far viewer whose line broke to come back for the end."""
_SENDING = 10.0
"""Seconds for messages that were begun at the end."""


class Monitor:
    def __init__(self, job: Path, voice: int) -> None:
        self.job = job
        self.card = card = Card.load(job / "job.json")
        if card.trainer is None or card.launcher is None:
            raise ValueError(f"{job}: the launcher has not started anything")
        self._trainer, self._launcher = card.trainer, card.launcher
        self._trainer_ended = False
        self._kills = Kills(self._trainer.pid)
        self._voice = voice
        self._narrator = Narrator()
        self._worst = -1
        self._failed: set[str] = set()
        self._due_at: dict[str, float] = {}
        options = jobs.options(job)
        self._rings = options["rings"]
        self._settings = options["settings"]
        self._quiet = options["quiet"]
        self._later: list[str] = []
        self._alerts = Alerts(options["on"], options["alerts"], card, self._notice_later)
        self._recorder = Recorder(job, card, self._hear)
        self._history = self._recorder.history
        commit = self._recorder.commit
        rings = {name: cursor for name, cursor in commit.cursors.items() if name != "console"}
        self._ingest = Ingest(self._rings, rings, commit.dropped, self._recorder.ids)
        self._dropped = commit.dropped
        self._silence = Silence(self._trainer.pid, time.monotonic()) if not options["interactive"] else None
        self._console = Follower(job / "console", commit.cursors.get("console", (0, 0))[0])
        self._advisor: Any = None
        self._advised = -1
        self._unseen_told = False
        self._since = time.monotonic()
        card.session, card.monitor = str(self._recorder.path), Process.of(os.getpid())
        self._ready = selectors.DefaultSelector()
        self._server: Server | None = self._try("socket", lambda: self._serve(options["listen"]))
        self._watch_trainer()
        self._system: System | None = self._try("system", self._begin_system)

    def _serve(self, listen: dict[str, Any] | None) -> Server | None:
        """Open the socket, and the port if one is wanted. None where viewers have to read the session file."""
        recorder, card = self._recorder, self.card
        history = recorder.history
        server = Server(recorder.path, card.id, recorder.number, recorder.end, self._ready, history)
        before, card.listen = card.listen, ""
        try:
            if not card.socket:
                raise PermissionError("no folder for it belongs to this user alone")
            server.listen(UnixDoor(Path(card.socket)))
        except OSError as error:
            recorder.notice(f"no socket {card.socket} ({error}): viewers read the session file instead")
        if listen is not None:
            wanted = Address(listen["host"], listen["port"] or int(before.rpartition(":")[2] or 0))
            door = TcpDoor(wanted, (self.job / "token").read_text())
            try:
                server.listen(door)
            except OSError as error:
                recorder.notice(f"no viewers over {wanted}: {error.strerror or error}")
            else:
                card.listen = str(door.address)
                if not before:
                    token = "" if listen["given"] else f" --token-file {self.job / 'token'}"
                    recorder.notice(f"far viewers: nnwatch attach {card.listen}{token}")
        return server

    def _watch_trainer(self) -> None:
        """Wake the loop as soon as the trainer ends."""

        def ended(_: int) -> None:
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
            self._ready.register(pidfd, selectors.EVENT_READ, ended)

    def _begin_system(self) -> System:
        system = System(self._trainer, str(self._recorder.path.parent), self._recorder.ids)
        for frame in system.introduce(time.time()):
            self._recorder.take(frame)
        if table := self._settings.get("table"):
            self._recorder.take(Event("facts", time.time(), data={"settings": table}))
        return system

    def run(self) -> None:
        """Until the job has ended and its session is complete."""
        self._save_card()
        while self._history.end is None:
            end = self._ended()
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
            self._gather(now)
        self._judge()
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

    def _due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due_at.get(what, 0.0):
            return False
        self._due_at[what] = now + every
        return True

    def _gather(self, now: float) -> None:
        """Everything that is new, from everywhere."""
        take, step = self._recorder.take, self._history.last_step
        came = self._ingest.read()
        for frame in came:
            lineage.link(frame, self.card)
            take(frame)
            if isinstance(frame, Segment) and (found := self._outside()):
                take(Event("facts", frame.time, frame.first_step, frame.segment, frame.rank, found))
        texts = self._console.read(now, self._history.last_step, last=self._history.end is not None)
        for text in texts:
            take(text)
        if self._silence is not None:
            if came or texts:
                self._silence.heard(time.monotonic(), stepping=step > 0)
            elif self._history.end is None and (event := self._silence.look(time.monotonic(), now, self._history)):
                take(event)
        if self._system is not None and self._due("sample", _SECOND):
            block = self._try("system", lambda: self._system and self._system.sample(now, step, time.monotonic()))
            if block is not None:
                take(block)
            else:
                self._system = None
        if (dropped := self._ingest.dropped) > self._dropped:
            take(Event("overflow", now, step, data={"dropped": dropped - self._dropped}))
            self._dropped = dropped
        if time.monotonic() - self._since > _UNSEEN and not any((self.job / "hello").glob("*")):
            self._tell_unseen()  # torch would have been imported by now; a first backward pass may take its time

    @functools.cache  # noqa: B019 - the monitor lives as long as its process
    def _outside(self) -> dict[str, Any]:
        """What is known without the training process, when training began: the repository of the script's folder, and
        what an earlier check of the script found."""
        script = next((word for word in self.card.command if word.endswith(".py")), "")
        state = git.state((Path(self.card.cwd) / script).parent if script else Path(self.card.cwd))
        known = self._try("earlier", lambda: earlier.facts(self.card)) or {}
        return ({"git": state} if state is not None else {}) | known

    def _judge(self) -> None:
        """Let the advisor look at what is new. It is loaded with the first training: it brings scipy."""
        if "advisor" in self._failed or self._history.version == self._advised:
            return
        if self._history.tracks or self._history.end is not None:
            for frame in self._try("advisor", self._advice) or []:
                self._recorder.take(frame)
        self._advised = self._history.version

    def _advice(self) -> list[Frame]:
        if self._advisor is None and (self.job / "check.json").exists():
            from nnwatch.advisor.examine import Examiner

            self._advisor = Examiner()
        if self._advisor is None:
            from nnwatch.advisor.engine import Advisor

            rules, targets, complaints = settings.rules(self._settings)
            self._later += complaints
            self._advisor = Advisor(rules, targets)
        return list(self._advisor.judge(self._history))

    def _write(self, now: float) -> bool:
        before = self._recorder.number
        cursors = self._ingest.cursors | {"console": (self._console.position, 0)}
        written = self._recorder.write(now, cursors, self._ingest.dropped)
        if written:
            self._ingest.release()
            if self._server is not None:
                self._server.advance(self._recorder.number - before, self._recorder.end)
        return written

    def _ended(self) -> End | None:
        """How the job ended, once it has: the launcher tells, unless it was killed itself."""
        gone = not self._trainer.alive and (not self._launcher.alive or not self.job.exists())
        try:
            how = json.loads((self.job / "exit.json").read_text())
        except FileNotFoundError:
            if not gone:
                return None
            if self._launcher == self._trainer:  # nnwatch.watch(): it did not come to say how it ended
                why = self._kills.cause(signal.SIGKILL)
                return End(time.time(), "killed", None, signal.SIGKILL, f"it ended without a word; {why}")
            why = "the launcher was killed" if self.job.exists() else "the job folder was removed"
            return End(time.time(), "lost", cause=f"{why}, nobody could say how the command ended")
        status: Status = "killed" if how["signal"] else "failed" if how["exit"] else "finished"
        return End(how["time"], status, how["exit"], how["signal"], how.get("cause", ""))

    def _finish(self, end: End) -> None:
        """What is left in the rings, the last judgement, and the end."""
        step = -1
        while step != self._history.last_step:
            step = self._history.last_step
            self._flush(time.time())
        self._tell_unseen()
        if (text := notices.asked_for_input(self._history)) is not None:
            self._recorder.notice(text)
        self._history.apply(end)  # rules judge the end; what they find comes before it in the file
        self._flush(time.time())
        self._recorder.take(end)
        deadline = time.monotonic() + _PATIENCE
        while not self._write(time.time()) and time.monotonic() < deadline:
            time.sleep(0.2)
        self._save_card()
        again = self.card.attach.removeprefix("nnwatch attach ")
        summary = self._try("summary", lambda: headline(Summary(self._history, self.card))) or []
        for line in (*summary, f"see it again: nnwatch replay {again}"):
            self._say(line)
        self._alerts.finish()
        if not outlived(self._launcher):
            self._linger(_SENDING, lambda: self._alerts.busy)
        for text in self._later:  # too late for the session, whose last frame is the end
            self._say(text)

    def _leave(self) -> None:
        """The launcher may go; viewers get the rest, and messages are sent."""
        with contextlib.suppress(OSError):
            os.close(self._voice)
        if (server := self._server) is not None:
            self._linger(_PATIENCE, lambda: server.behind)
            self._linger(_RETURN, lambda: server.behind or server.missed(_RETURN))
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
                self._say(line)

    def _say(self, text: str) -> None:
        """A line for the user. Lost if the launcher is gone or its pipe is full: nothing waits for it."""
        if self._quiet:
            return
        lead = "         " if text.startswith(" ") else "nnwatch: "
        with contextlib.suppress(OSError):
            os.write(self._voice, f"{lead}{text}\n".encode("utf-8", "replace"))

    def _notice_later(self, text: str) -> None:
        if text not in self._failed:
            self._failed.add(text)
            self._later.append(text)

    def _try(self, part: str, action: Callable[[], Any]) -> Any:
        """A part of the monitor that may fail without the rest: None then, and told once."""
        try:
            return action()
        except Exception as error:
            traceback.print_exc()
            if part not in self._failed:
                self._failed.add(part)
                why = f"{type(error).__name__}: {error}; see {self.job / 'monitor.log'}"
                self._recorder.notice(f"the {part} part of nnwatch failed and is off ({why})")
            return None

    def _tell_unseen(self) -> None:
        """Say why there is nothing to see, where there is nothing."""
        if not (self._unseen_told or self._ingest.seen):
            self._unseen_told = True
            self._recorder.notice(notices.unseen(self.job))

    def _save_card(self) -> None:
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
    try:
        Monitor(Path(sys.argv[1]), int(sys.argv[2])).run()
    except SessionError as error:
        sys.exit(f"nnwatch: {error}")


if __name__ == "__main__":
    main()
