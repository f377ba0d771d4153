"""Where runs are found: the registry of jobs of this user, and the card that lies beside each session.

A card is small JSON: who runs, where, since when, and how it ended. An entry of another host or pid namespace
is *elsewhere*: its processes cannot be seen from here, so it is never called lost. Standard library only, the
launcher needs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUFFIX = ".nnw"
CARD_SUFFIX = ".run.json"
_MAGIC = b"\x89NNW"
"""What a session begins with."""
_SILENT = 60.0
"""Seconds without a word after which a run without an end is over."""
SOCKET_PATH_LIMIT = 107
"""Longest path of a Unix socket on Linux, in bytes."""


class RunError(Exception):
    """What was asked for cannot be done: one line for the user (a list may follow), exit code 2."""


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None if it is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, start_ticks(pid) or 0)

    @property
    def alive(self) -> bool:
        return start_ticks(self.pid) == self.start


@functools.cache
def here() -> dict[str, Any]:
    """Host name, boot id and pid namespace: where process ids mean something."""

    def read(action: Any) -> str:
        try:
            return str(action()).strip()
        except OSError:
            return ""

    return {
        "host": socket.gethostname(),
        "boot": read(lambda: Path("/proc/sys/kernel/random/boot_id").read_text()),
        "namespace": read(lambda: os.readlink("/proc/self/ns/pid")),
    }


@dataclass
class Card:
    """One run; ``check``: one of ``nnwatch check``. ``latest``, ``end``, ``listen`` (where it can be had over TCP) and
    ``checkpoints`` are the monitor's.

    ``latest``: time, step, loss, and rule and severity of the primary finding. ``end``: status, exit, signal,
    time, and the worst severity of any finding. ``checkpoints``: size in bytes and time of change in nanoseconds of
    the newest files it saved, by path, so that a run that goes on from one finds this one. ``format`` is that of a log
    of another tool, which ``session`` is the path of then. ``joins``: the first node's address, where this is another.
    ``group`` is the same for all nodes of one job, "" where there is one, and ``node`` the number of this one.
    ``continues`` is the id of the run that this one goes on from; ``job`` and ``start``: of a scheduler's job, which
    start it is (`restart.py`); ``until``: when the time of the job ends, where that is known.
    """

    id: str
    name: str
    session: str
    command: list[str]
    cwd: str
    started: float
    python: str = ""
    headless: bool = True
    check: bool = False
    host: str = ""
    boot: str = ""
    namespace: str = ""
    socket: str = ""
    listen: str = ""
    joins: str = ""
    group: str = ""
    node: int = 0
    job: str = ""
    start: int = 0
    until: float = 0.0
    continues: str = ""
    attach: str = ""
    format: str = ""
    launcher: Process | None = None
    trainer: Process | None = None
    monitor: Process | None = None
    latest: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    checkpoints: dict[str, list[int]] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """``running``, ``elsewhere``, ``lost``, ``recorded``, or how it ended: ``finished``, ``failed``, ``killed``."""
        if self.end is not None:
            return str(self.end.get("status", "lost"))
        if not self.id:  # a session whose card is not there
            return "recorded"
        place = here()
        if self.host != place["host"]:
            return "elsewhere"
        if self.boot != place["boot"]:
            return "lost"
        if self.namespace != place["namespace"]:
            return "elsewhere"
        processes = (self.trainer, self.launcher, self.monitor)
        return "running" if any(p is not None and p.alive for p in processes) else "lost"

    @property
    def last_step(self) -> int | None:
        step = self.latest.get("step")
        return step if isinstance(step, int) else None

    @property
    def last_loss(self) -> float | None:
        """Not finite ones are words in the card, as JSON has no number for them."""
        loss = self.latest.get("loss")
        return float(loss) if isinstance(loss, int | float) or loss in ("nan", "inf", "-inf") else None

    def save(self, path: Path) -> None:
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path) -> Card:
        """Raises ValueError for anything that is no card: cards lie in folders that others may write to."""
        try:
            data = json.loads(path.read_text())
            known = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
            for role in ("launcher", "trainer", "monitor"):
                known[role] = Process(**known[role]) if known.get(role) else None
            card = cls(**known)
            for text in (card.id, card.name, card.session, card.host, card.socket, card.listen, *card.command):
                if not isinstance(text, str) or not text.isprintable():
                    raise ValueError("a text is none")
            card.started = float(card.started)
            if not all(isinstance(part, dict) for part in (card.latest, card.end or {}, card.checkpoints)):
                raise ValueError("a part is none")
        except (OSError, TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is no run card: {error}") from None
        return card


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace the file as a whole: a reader sees the old one or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps(data))
    new.replace(path)


def private(folder: Path) -> Path:
    """Make a folder that only this user may enter. Raises OSError if it is someone else's or a link."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} does not belong to this user")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def short_folder() -> Path | None:
    """Where sockets lie: owner-only, a short path, and still there after the user logs out. None if there is none.

    ``$XDG_RUNTIME_DIR`` goes away with the last login, so it is only the second choice.
    """
    choices = [Path("/tmp") / f"nnwatch-{os.getuid()}"]
    if "XDG_RUNTIME_DIR" in os.environ:
        choices.append(Path(os.environ["XDG_RUNTIME_DIR"]) / "nnwatch")
    for folder in choices:
        with contextlib.suppress(OSError):
            return private(folder)
    return None


def registries() -> list[Path]:
    """Folders that may hold job folders, best first."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return [Path(state) / "nnwatch" / "jobs", Path(tempfile.gettempdir()) / f"nnwatch-{os.getuid()}" / "jobs"]


def find_job(id: str) -> Path | None:
    """The folder of a job, if it can be seen from here."""
    return next((path for path in (registry / id for registry in registries()) if path.exists()), None)


def sessions_folder() -> Path:
    """Where new sessions are written and the runs of this place are looked for."""
    return Path(os.environ.get("NNWATCH_HOME") or ".nnwatch").absolute()


def new_job(id: str) -> Path:
    """Make the job folder. Raises RunError when no registry can be written to."""
    reasons = []
    for registry in registries():
        try:
            job = private(registry) / id
            job.mkdir(mode=0o700)
        except OSError as error:
            reasons.append(str(error))
        else:
            return job
    raise RunError(f"no folder for the job: {'; '.join(reasons)}; set XDG_STATE_HOME to one that can be written")


def card_path(session: Path) -> Path:
    return session.with_name(session.name.removesuffix(SUFFIX) + CARD_SUFFIX)


def runs() -> list[Card]:
    """All runs known here, newest first: the registry's, and those whose card lies in ``sessions_folder()``."""
    jobs = (path for registry in registries() for path in registry.glob("*/job.json"))
    found: dict[str, Card] = {}
    for path in (*jobs, *sessions_folder().glob(f"*{CARD_SUFFIX}")):
        try:
            card = Card.load(path)
        except ValueError:
            continue
        if path.name != "job.json":  # the folder may have been moved or copied here
            beside = path.with_name(path.name.removesuffix(CARD_SUFFIX) + SUFFIX)
            card.session = str(beside)
        known = found.get(card.id)
        if known is None or not Path(known.session).exists():
            found[card.id] = card
    there = (card for card in found.values() if card.state == "running" or Path(card.session).exists())
    return sorted(there, key=lambda card: card.started, reverse=True)


def precedence(card: Card) -> tuple[bool, int, float, str]:
    """The first node of a job is that whose card has the least."""
    return bool(card.joins), card.node, card.started, card.id


def together(one: Card, other: Card) -> bool:
    """Whether two runs are nodes of one job: an earlier run of the same command is another job."""
    return bool(one.group) and one.group == other.group and not (_over(one, other) or _over(other, one))


def _over(one: Card, other: Card) -> bool:
    """Whether a run had ended, or fallen silent for good, before another began."""
    newest = float((one.end or one.latest).get("time") or one.started)
    return newest < other.started - (0.0 if one.end is not None else _SILENT)


def leading(cards: Iterable[Card]) -> list[Card]:
    """Without those that are a further node of a job whose first node, which has all of it, is there too."""
    cards = list(cards)
    grouped: dict[str, list[Card]] = {}
    for card in cards:
        grouped.setdefault(card.group, []).append(card)

    def led(card: Card) -> bool:
        least = precedence(card)
        return any(precedence(other) < least and together(card, other) for other in grouped[card.group])

    return [card for card in cards if not (card.group and led(card))]


def newest(cards: Iterable[Card]) -> list[Card]:
    """Without those that another one of the same name goes on from."""
    cards = list(cards)
    over = {(card.name, card.continues) for card in cards}
    return [card for card in cards if (card.name, card.id) not in over]


def resolve(run: str | None, known: Iterable[Card] | None = None) -> Card:
    """The run that is meant: a path, an id, a name, a unique prefix of one, or None for the newest. Of a job of several
    nodes it is the first one's, of runs that go on from one another the newest, unless the id says another.

    A session without a card gets one made up from its path. Raises RunError when there is none, or several.
    """
    cards = list(runs() if known is None else known)
    if run is None:
        if not cards:
            raise RunError(
                f"no runs yet: none in {sessions_folder()} and none registered; start one: nnwatch run train.py"
            )
        return leading(cards)[0]
    path = Path(run)
    if run.endswith(SUFFIX) or os.sep in run or path.is_file():
        return _at(path.absolute(), cards)
    for match in (
        [card for card in cards if run in (card.id, card.name)],
        [card for card in cards if run and (card.name.startswith(run) or card.id.startswith(run))],
    ):
        match = match if run in [card.id for card in match] else newest(leading(match))
        if len(match) == 1:
            return match[0]
        if match:
            listed = "\n".join(f"  {card.id}  {card.state:9}  {card.name}  {card.session}" for card in match)
            raise RunError(f"{run!r} means {len(match)} runs; give the id or the path of one:\n{listed}")
    if run and path.is_dir():
        return _at(path.absolute(), cards)
    raise RunError(f"no run is called {run!r}; `nnwatch ls` lists them, a path to a session or a log works too")


def _session(path: Path) -> bool:
    """Whether a file is meant to be a session, by its name or first bytes; one that cannot be read says so later."""
    if path.name.endswith(SUFFIX):
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return True


def _at(path: Path, cards: list[Card]) -> Card:
    if not path.exists():
        raise RunError(f"{path}: no such session; `nnwatch ls` lists the runs")
    for card in cards:
        if Path(card.session) == path or (Path(card.session).exists() and path.samefile(card.session)):
            return card
    if path.is_dir() or not _session(path):
        from .logs import find

        return find.run(path)
    with contextlib.suppress(ValueError):
        card = Card.load(card_path(path))
        card.session = str(path)
        return card
    return Card(
        id="", name=path.name.removesuffix(SUFFIX), session=str(path), command=[], cwd="", started=path.stat().st_mtime
    )
