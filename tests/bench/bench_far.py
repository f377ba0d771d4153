"""`make bench-far`: 1,000,000 steps seen over a line of 10 Mbit/s, until the whole curve is there; then a detail.

Server and viewer are two processes in a network namespace whose loopback is shaped by tc (token bucket, packets of
1,500 bytes). Needs the right to make namespaces.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnwatch.client import SocketSource
from nnwatch.dial import Tcp
from nnwatch.frame import Block, Commit, FieldSpec, Frame, Run, Schema, Segment
from nnwatch.history import History
from nnwatch.listen import Address, TcpDoor
from nnwatch.series import Series, Steps
from nnwatch.server import Server
from nnwatch.session import Writer

STEPS, METRICS, PORT, TOKEN = 1_000_000, 20, 7007, "the-token-of-the-bench"
SHAPE = """
ip link set lo mtu 1500 up
tc qdisc add dev lo root tbf rate 10mbit burst 16kb latency 2s
exec "$@"
"""


def serve(path: Path) -> None:
    """A monitor's server over a session that is there, which adds a step each second."""
    writer, history, rng = Writer(path), History(), np.random.default_rng(0)
    schema = Schema(1, "step", [FieldSpec(f"user.{i}") for i in range(METRICS)])

    def append(*frames: Frame) -> None:
        writer.append(frames, Commit(0.0))
        for frame in (*frames, writer.commit):
            history.apply(frame)

    append(Run("far", "far", "h", [], "", "", 0.0), Segment(0, 0, 1, 0.0), schema)
    for begin in range(0, STEPS, 1000):
        steps = np.arange(begin + 1, begin + 1001)
        values = rng.normal(size=(METRICS, 1000)).astype(np.float32)
        append(Block(1, 0, 0, 1000, steps.tobytes(), (steps * 0.01).tobytes(), values.tobytes()))
    ready = selectors.DefaultSelector()
    server = Server(path, "far", writer.number, writer.end, ready, history)
    server.listen(TcpDoor(Address("127.0.0.1", PORT), TOKEN))
    print("ready", flush=True)
    while True:
        for key, mask in ready.select(0.1):
            key.data(mask)


def seconds_until(source: SocketSource, history: History, done: Callable[[History], bool]) -> float:
    begin = time.perf_counter()
    while not done(history):
        for frame in source.read():
            history.apply(frame)
    return time.perf_counter() - begin


def within(series: Series) -> Steps:
    """The steps of those looked at, and half as many on each side, that are there."""
    return series.steps[slice(*np.searchsorted(series.steps, [399_000, 403_001]))]


def view(path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bench_far", "serve", path], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    server.stdout.readline()
    for attempt in ("first viewer", "second viewer"):
        source, history = SocketSource(Tcp(f"tcp://127.0.0.1:{PORT}"), token=TOKEN), History()
        whole = seconds_until(source, history, lambda known: known.commit is not None)
        track = history.tracks[0, 0]
        assert track.last_step == STEPS
        print(f"{attempt}: the whole curve of {STEPS:,} steps x {METRICS} after {whole:.2f} s (bar: 1 s), "
              f"{len(track['user.0']):,} records of each metric")  # fmt: skip
        source.look(0, 0, 400_000, 402_000)
        detail = seconds_until(source, history, lambda known: len(within(known.tracks[0, 0]["user.0"])) == 4001)
        print(f"  4,000 steps of it in full {detail:.2f} s later")
        source.close()
    server.kill()
    server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["view"]:
        view(Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            inside = [sys.executable, "-m", "tests.bench.bench_far", "view", os.path.join(folder, "far.nnw")]
            sys.exit(subprocess.run(["unshare", "--net", "sh", "-ec", SHAPE, "sh", *inside]).returncode)
