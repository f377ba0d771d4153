"""`make fuzz`: 100,000 malformed connections, each also read as a file's bytes; then atheris, where it is installed.

Prints, tenth by tenth, what an attack costs, the memory, the open files and the viewers that are left: all of it
stays as it was. An exception that nobody expects ends it with a traceback and a seed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.nnwatch.doors import Home, until

from .attack import SEEDS, TOKEN, Target, broken, parse

_LOOKS = 10


def campaign(count: int, seed: int) -> None:
    """Attack a server and the parsers; one line for each tenth."""
    me, dice = psutil.Process(), random.Random(seed)
    print(f"{'attacks':>9} {'answered':>9} {'us each':>8} {'memory MB':>10} {'open files':>11} {'viewers':>8}")
    answered = done = 0
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder))
        for _ in range(_LOOKS):
            begin = time.process_time()
            for _ in range(count // _LOOKS):
                data, token = broken(dice), TOKEN if dice.random() < 0.5 else ""
                polite = dice.choices(SEEDS[:3], k=dice.random() < 0.4)  # it knows the token and goes wrong later
                answered += bool(target.attack(*polite, data, token=token))
                parse(data)
            done += count // _LOOKS
            each = (time.process_time() - begin) / (count // _LOOKS) * 1e6
            target.server.tend()
            files, memory = me.num_fds(), me.memory_info().rss / 1e6
            viewers = len(target.server._viewers)
            print(f"{done:9,} {answered:9,} {each:8.0f} {memory:10.1f} {files:11} {viewers:8}", flush=True)
        assert target.attack(SEEDS[0], token=TOKEN)
        target.close()


def guided(seconds: int) -> None:
    """The parsers under atheris, which looks for ways it has not taken yet."""
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: the guided part is left out")
        return
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(SEEDS):
            (Path(folder) / str(number)).write_bytes(data)
        words = [sys.executable, "-m", "tests.fuzz.guided", folder]
        options = [f"-max_total_time={seconds}", "-print_final_stats=1"]
        done = subprocess.run([*words, *options], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "stat::" in line or "ERROR" in line or "exception" in line]
    print(f"atheris, {seconds} s: exit status {done.returncode}", *told[:8], sep="\n  ")


TRAINER = """
import os, sys, time
exec(open("trainer.py").read().split("for step in")[0])
payload = struct.pack("<qqd2f", 0, 1, 0.0, 1.0, 0.1)
for phase in ("quiet", "attacked"):
    while not os.path.exists(phase):
        time.sleep(0.01)
    took = []
    while not os.path.exists(phase + ".done"):
        begin = time.thread_time()
        for _ in range(100):
            ring.write(1, payload)
        took.append((time.thread_time() - begin) / 100)
        time.sleep(0.01)
    print(phase, sorted(took)[len(took) // 2] * 1e6, flush=True)
"""


def slowdown(connections: int, seed: int) -> None:
    """What a record costs a trainer while its monitor is left alone, and while it is attacked over its socket."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.script("steps.py", TRAINER)
        process = home.start("run", "steps.py", "1", "0", "close")
        socket_path = until(lambda: next((card.socket for card in home.cards() if Path(card.socket).exists()), None))
        for phase in ("quiet", "attacked"):
            (home.folder / phase).touch()
            if phase == "quiet":
                time.sleep(5)
            for _ in range(connections if phase == "attacked" else 0):
                with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
                    connection.connect(socket_path)
                    connection.sendall(broken(dice))
            (home.folder / f"{phase}.done").touch()
        out, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        quiet, attacked = (float(line.split()[1]) for line in out.splitlines())
        log = home.job(home.cards()[0]) / "monitor.log"
        restarted = log.read_text().count("Traceback")
    print(
        f"{connections:,} real connections: a record costs the trainer {quiet:.2f} us when it is quiet, "
        f"{attacked:.2f} us while its monitor is attacked; the monitor failed {restarted} times"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=60, help="for atheris")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, seed {options.seed}")
    campaign(options.count, options.seed)
    slowdown(options.count // 10, options.seed)
    guided(options.seconds)


if __name__ == "__main__":
    main()
