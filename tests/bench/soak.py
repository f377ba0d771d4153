"""A run of 1,000 steps/s with a screen on it: what memory the trainer, the monitor and the screen take as it goes on.

The trainer fills its ring as the probes would, without torch: what a training of 100,000 steps takes is in
``bench_start``. Of each process: its own memory / all that is in memory for it, pages of files too.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import NamedTuple

from ..nnwatch.doors import NNWATCH, Home, until

STEPS_PER_SECOND = 1000
CURVES = 20
TRAINER = f"""
import json, os, struct, sys, time
seconds = float(sys.argv[1])
boot = os.environ["PYTHONPATH"].split(os.pathsep)[0]
settings = json.load(open(boot + "/settings.json"))
sys.path.insert(0, boot)
from nnwatch.ring import Writer
start = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
ring = Writer(f"{{settings['rings'][0]}}/{{os.getpid()}}-{{start}}.ring", settings["ring_bytes"], os.getpid(), start)
ring.set_rank(0)
ring.declare({{"kind": "segment", "segment": 0, "rank": 0, "reason": "start", "first_step": 0, "time": time.time()}})
fields = [["loss.train", 1, 0], ["step.seconds", 1, 0], *([f"user.m{{i}}", 1, 0] for i in range({CURVES - 2}))]
ring.declare({{"kind": "schema", "id": 1, "name": "step", "fields": fields}})
record = struct.Struct("<qqd{CURVES}f")
began = time.monotonic()
step = 0
while (passed := time.monotonic() - began) < seconds:
    while step < passed * {STEPS_PER_SECOND}:
        step += 1
        curves = [(step * (7 + i) % 1009) / 1009 for i in range({CURVES - 2})]
        ring.write(1, record.pack(0, step, time.time(), 2.0 + curves[0], 0.001, *curves))
    time.sleep(0.01)
print(ring.dropped)
ring.close()
"""


class Memory(NamedTuple):
    """Of one process, MB: what is its own, and all that is in memory for it, pages of files too."""

    own: float
    resident: float


def memory(pid: int) -> Memory:
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {name: value for name, _, value in lines}
    return Memory(*(int(sizes[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS")))


def screen(home: Home, run: str) -> int:
    """``nnwatch attach`` in a terminal of 120 by 40 whose output nobody keeps; its process id."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home.folder)
        os.execve(NNWATCH[0], [*NNWATCH, "attach", run], home.env | {"TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def drain() -> None:
        try:
            while os.read(terminal, 1 << 16):
                pass
        except OSError:  # the other end is closed
            pass

    threading.Thread(target=drain, daemon=True).start()
    return pid


def soak(minutes: float) -> None:
    seconds = 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.script("train.py", TRAINER)
        process = home.start("run", "--headless", "train.py", str(seconds))
        card = home.running(1)
        viewer = screen(home, card.id)
        assert card.trainer is not None
        assert card.monitor is not None
        pids = {"trainer": card.trainer.pid, "monitor": card.monitor.pid, "screen": viewer}
        print(
            f"{STEPS_PER_SECOND:,} steps/s of {CURVES} curves for {minutes:g} minutes; Python {sys.version.split()[0]}"
        )
        print(f"{'minute':>8}{'session MB':>12}" + "".join(f"{name + ' MB':>18}" for name in pids), flush=True)
        samples: list[tuple[float, dict[str, Memory]]] = []
        began = time.monotonic()
        every = max(seconds / 20, 5)
        while process.poll() is None and (passed := time.monotonic() - began) < seconds - 5:
            if passed >= every * (len(samples) + 1):
                found = {name: memory(pid) for name, pid in pids.items()}
                samples.append((passed, found))
                size = Path(card.session).stat().st_size / 1e6
                row = "".join(f"{f'{one.own:.1f} / {one.resident:.1f}':>18}" for one in found.values())
                print(f"{passed / 60:8.1f}{size:12.1f}{row}", flush=True)
            time.sleep(0.5)
        os.kill(viewer, signal.SIGTERM)
        os.waitpid(viewer, 0)
        dropped, _ = process.communicate(timeout=120)
        until(lambda: home.cards()[0].end is not None)
        print(f"records that found no room in the ring: {dropped.strip()}")
        half = [sample for sample in samples if sample[0] > seconds / 2]
        (first, before), (last, after) = half[0], half[-1]
        for name in pids:
            grown = after[name].own - before[name].own
            print(f"{name}: {grown:+.1f} MB of its own in the last {(last - first) / 60:.1f} minutes")
