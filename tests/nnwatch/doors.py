"""Real runs for the tests of the doors: an own home for each, and a trainer that fills a ring without torch."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnwatch.card import Card
from nnwatch.frame import Block, Frame
from nnwatch.history import History
from nnwatch.session import Reader

ROOT = Path(__file__).parents[2]
NNWATCH = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from nnwatch.cli import main; sys.exit(main())",
)
"""The command of this very tree, whichever is installed, with the environment as a user has it."""

PATIENCE = 600.0
"""Seconds after which a test gives up on what must happen. No measure: a loaded machine is slow, a hang is for ever."""

ASLEEP = "sleeping" if sys.version_info >= (3, 11) else "waiting for a pipe or a connection"
"""What a process in ``time.sleep`` is said to do: up to Python 3.10 that is a select on nothing."""

TRAINER = '''
"""Writes STEPS records into a ring as the probes would, one each PAUSE seconds, then ends as END says.

NAN: the first step whose loss is none. GATE=STEP:FILE: that step waits for the file. COUNT=FILE: 8 bytes in which
stands, whatever becomes of this process, how many records were published.
"""
import json, mmap, os, signal, struct, sys, time
steps, pause, end = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
boot = os.environ["PYTHONPATH"].split(os.pathsep)[0]
settings = json.load(open(boot + "/settings.json"))
sys.path.insert(0, boot)
from nnwatch.ring import Writer
start = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
size = int(os.environ.get("RING", settings["ring_bytes"]))
ring = Writer(f"{settings['rings'][0]}/{os.getpid()}-{start}.ring", size, os.getpid(), start)
nan = int(os.environ.get("NAN", steps + 1))
rank = int(os.environ.get("RANK", 0))
gate, _, gate_file = os.environ.get("GATE", "0:").partition(":")
count = mmap.mmap(-1, 8)
if "COUNT" in os.environ:
    with open(os.environ["COUNT"], "w+b") as file:
        file.truncate(8)
        count = mmap.mmap(file.fileno(), 8)
ring.set_rank(rank)
ring.declare({"kind": "segment", "segment": 0, "rank": rank, "reason": "start", "first_step": 0, "time": time.time()})
ring.declare({"kind": "schema", "id": 1, "name": "step", "fields": [["loss.train", 1, 0], ["lr", 1, 0]]})
ring.event({"name": "facts", "segment": 0, "step": 0, "time": time.time(), "data": {"planned_steps": steps}})
for step in range(1, steps + 1):
    while step == int(gate) and not os.path.exists(gate_file):
        time.sleep(0.01)
    if step == nan:
        data = {"origin": "loss", "last_finite_step": step - 1, "loss": "nan"}
        ring.event({"name": "nonfinite", "segment": 0, "step": step, "time": time.time(), "data": data})
    ring.write(1, struct.pack("<qqd2f", 0, step, time.time(), float("nan") if step >= nan else 1 / step, 0.1))
    count[:] = struct.pack("<q", step)
    if pause:
        time.sleep(pause)
print("trained", flush=True)
if end == "close":
    ring.close()
elif end.startswith("exit"):
    os._exit(int(end[4:]))
elif end == "eat":  # until the kernel has had enough
    eaten = []
    while True:
        eaten.append(b"x" * (1 << 20))
else:
    os.kill(os.getpid(), getattr(signal, end))
'''


class Home:
    """A place of its own for sessions, registry and scripts; commands run in it as a user would run them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONUNBUFFERED", "PYTHONPATH", "VIRTUAL_ENV")}
        self.env = kept | {
            "XDG_STATE_HOME": str(folder / "state"),
            "NNWATCH_HOME": str(folder / "sessions"),
            "OMP_NUM_THREADS": "1",
        }
        self.script("trainer.py", TRAINER)

    def script(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, *words: str, **options) -> subprocess.Popen[str]:
        """``nnwatch WORDS``, started."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        env = self.env | options.pop("env", {})
        command = [*NNWATCH, *map(str, words)]
        return subprocess.Popen(command, cwd=self.folder, env=env, **(pipes | options))

    def nnwatch(self, *words: str, timeout: float = PATIENCE, **options) -> subprocess.CompletedProcess[str]:
        """``nnwatch WORDS``, to its end."""
        given = options.pop("input", None)
        if given is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*words, **options)
        out, err = process.communicate(given, timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def cards(self) -> list[Card]:
        """Cards of the registry, oldest first."""
        found = [Card.load(path) for path in (self.folder / "state").glob("nnwatch/jobs/*/job.json")]
        return sorted(found, key=lambda card: card.started)

    def gate(self, step: int) -> None:
        """A trainer waits with this step until ``go_on``."""
        self.env["GATE"] = f"{step}:{self.folder / 'gate'}"

    def go_on(self) -> None:
        (self.folder / "gate").touch()

    def job(self, card: Card) -> Path:
        return self.folder / "state" / "nnwatch" / "jobs" / card.id

    def running(self, steps=1):
        """The card of the newest job, once its monitor has recorded ``steps`` steps."""

        def look():
            cards = self.cards()
            if not cards or cards[-1].monitor is None or not Path(cards[-1].session).exists():
                return None
            return cards[-1] if history(cards[-1].session).last_step >= steps else None

        return until(look)

    def session(self) -> Path:
        """The only session there is."""
        [path] = (self.folder / "sessions").glob("*.nnw")
        return path


def until(look):
    """What ``look`` returns, as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def frames(session: str | Path) -> list[Frame]:
    reader = Reader(session)
    try:
        return reader.read()
    finally:
        reader.close()


def history(session):
    known = History()
    for frame in frames(session):
        known.apply(frame)
    return known


def steps(session: str | Path, rank: int = 0) -> list[int]:
    """Every step recorded, in the order of the file."""
    known = history(session)
    return [step for (_, r), track in sorted(known.tracks.items()) if r == rank for step in track["loss.train"].steps]


def blocks(found: list[Frame]) -> int:
    return sum(frame.count for frame in found if isinstance(frame, Block))


def kill(card: Card) -> None:
    """End a job as a batch system does: all of it at once, nobody sees the others die."""
    launcher, monitor, trainer = (one.pid for one in (card.launcher, card.monitor, card.trainer) if one is not None)
    os.kill(monitor, signal.SIGSTOP)
    for pid in (launcher, monitor, trainer):  # the launcher first: it would start a new monitor
        os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def free_port() -> int:
    """A port that nobody listens on, of those that the kernel gives nobody by itself: it stays free meanwhile."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(1024, first)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


def fill(file: int) -> None:
    """Write until nothing more goes in: a full disk, or a pipe that nobody reads."""
    try:
        while True:
            os.write(file, b"x" * 512)
    except OSError:
        pass


def _mounts() -> bool:
    """Whether this user may mount: not every root may, in a container."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True)
    return tried.returncode == 0


needs_tmpfs = pytest.mark.skipif(not _mounts(), reason="needs to mount a small file system")
