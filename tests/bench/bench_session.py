"""What recording and reading a session cost: ``python -m tests.bench.bench_session [--steps N] [--soak MINUTES]``.

Costs are CPU time, so that what else the machine does counts little; the time to a viewer's first data is the clock's.
The peers are used as their documentation says, in processes of their own, with the same 20 curves.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nnwatch import ring
from nnwatch.card import Card
from nnwatch.client import SocketSource
from nnwatch.dial import Unix
from nnwatch.follow import NearSource
from nnwatch.frame import Block, Commit, FieldSpec, Run, Schema, Segment
from nnwatch.history import History
from nnwatch.ingest import Ids, Ingest
from nnwatch.listen import UnixDoor
from nnwatch.parser import PRELUDE, pieces
from nnwatch.process import start_ticks
from nnwatch.recorder import Recorder
from nnwatch.server import Server
from nnwatch.session import Reader, Writer

from .soak import soak

CURVES = 20
FLUSH = 500
"""Steps of a flush: half a second at 1,000 steps/s."""


def row(what: str, value: float, bar: float, unit: str, *, floor: bool = False, remark: str = "") -> None:
    kept = value >= bar if floor else value <= bar
    print(f"{what:50}{value:12,.2f} {unit:8}{'>=' if floor else '<='} {bar:<8,g}{'' if kept else 'MISSED '}{remark}")


def waited(what: str, action: Callable[[], object], bar: float, repeats: int = 5) -> None:
    """A row for something a person waits for, in CPU time; the clock's says how busy the machine was."""
    cost, wait = least(action, repeats)
    row(what, cost, bar, "ms", remark=f"({wait:,.1f} ms of the clock)")


def cpu(action: Callable[[], object], times: int, repeats: int = 7) -> float:
    """Least CPU microseconds of one call."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(times):
            action()
        best = min(best, (time.process_time() - began) / times)
    return 1e6 * best


def least(action: Callable[[], object], repeats: int = 5) -> tuple[float, float]:
    """Least milliseconds of one call: of CPU, and of the clock."""
    costs, waits = [], []
    for _ in range(repeats):
        used, began = time.process_time(), time.perf_counter()
        action()
        costs.append(time.process_time() - used)
        waits.append(time.perf_counter() - began)
    return 1e3 * min(costs), 1e3 * min(waits)


def records(folder: Path) -> None:
    """A scalar and a table into the ring; it is emptied by hand between rounds."""
    writer = ring.Writer(str(folder / "r.ring"), 16 << 20, os.getpid(), start_ticks(os.getpid()) or 0)
    reader = ring.Reader(writer.path)
    stamp, table = struct.Struct("<qqdf"), bytes(8192)

    def emptied() -> None:
        for _ in reader.records():
            pass
        reader.release()

    def scalar() -> None:
        writer.write(1, stamp.pack(0, 7, 1e9, 0.5))

    for what, action, times, bar in (
        ("a scalar record into the ring", scalar, 20_000, 1.0),
        ("a table of 8 kB into the ring", lambda: writer.write(2, table), 1000, 3.0),
    ):
        best = float("inf")
        for _ in range(12):  # the first times meet pages that were never touched
            best = min(best, cpu(action, times, 1))
            emptied()
        row(what, best, bar, "us")
    assert not writer.dropped
    reader.close()
    writer.close()
    os.unlink(writer.path)


def monitor(folder: Path) -> None:
    """From the ring into the history and the file, in flushes of half a second."""
    job = folder / "job"
    job.mkdir()
    card = Card("bench", "bench", str(folder / "monitor.nnw"), ["train.py"], "/", time.time())
    writer = ring.Writer(str(folder / "m.ring"), 16 << 20, os.getpid(), start_ticks(os.getpid()) or 0)
    fields = [[f"user.m{i}", 1, 0] for i in range(CURVES)]
    writer.declare({"kind": "segment", "segment": 0, "rank": 0, "reason": "start", "first_step": 0, "time": 1e9})
    writer.declare({"kind": "schema", "id": 1, "name": "step", "fields": fields})
    recorder = Recorder(job, card, lambda frame, again: None)
    ingest = Ingest([str(folder)], {}, 0, Ids())
    record = struct.Struct(f"<qqd{CURVES}f")
    rng = np.random.default_rng(0)
    step, costs = 0, []
    for _ in range(200):
        for values in rng.standard_normal((FLUSH, CURVES)):
            step += 1
            writer.write(1, record.pack(0, step, 1e9 + step / 1000, *values))
        began = time.process_time()
        for frame in ingest.read():
            recorder.take(frame)
        recorder.write(step / 1000, ingest.cursors, ingest.dropped)
        ingest.release()
        costs.append(time.process_time() - began)
    assert recorder.history.last_step == step
    mean = 1e6 * sum(costs) / step
    row("monitor, a step of 20 scalars from ring to file", mean, 5.0, "us")
    row("the same, sustained", 1e6 / mean, 50_000, "steps/s", floor=True)
    writer.close()


def recorded(path: Path, steps: int) -> None:
    writer = Writer(path)
    schema = Schema(1, "step", [FieldSpec(f"user.m{i}") for i in range(CURVES)])
    run = Run("bench", "bench", "host", ["train.py"], "python3", "/", 1e9)
    writer.append([run, Segment(0, 0, 1, 1e9), schema], Commit(1e9))
    rng = np.random.default_rng(0)
    for first in range(1, steps + 1, FLUSH):
        numbers = np.arange(first, first + FLUSH)
        times = 1e9 + numbers / 1000 + rng.uniform(0, 1e-4, FLUSH)
        values = (np.exp(-numbers / steps) + 0.1 * rng.standard_normal((CURVES, FLUSH))).astype(np.float32)
        block = Block(1, 0, 0, FLUSH, numbers.tobytes(), times.tobytes(), values.tobytes())
        writer.append([block], Commit(float(times[-1])))
    writer.close()


def sizes(path: Path, steps: int) -> None:
    found: Counter[str] = Counter()
    for start, end, frame in pieces(path.read_bytes(), len(PRELUDE)):
        found[type(frame).__name__] += end - start
    row("consolidated blocks, of 20 scalars", found["Columns"] / steps, 120, "B/step")
    others = {"plain blocks": "Block", "overviews": "Overview"}
    print("".join(f"{what:50}{found[kind] / steps:12,.2f} B/step\n" for what, kind in others.items()), end="")
    print(f"{'the whole file':50}{path.stat().st_size / steps:12,.2f} B/step")


def whole(path: Path) -> History:
    reader, history = Reader(path), History()
    while frames := reader.read(1 << 18):
        for frame in frames:
            history.apply(frame)
    reader.close()
    return history


def newest(path: Path, steps: int = 1000) -> None:
    """Open, and have the last 1,000 steps of every curve."""
    reader, history = Reader(path), History()
    for frame in reader.recent(steps):
        history.apply(frame)
    assert history.main is not None
    assert all(len(series.values[-steps:]) == steps for series in history.main.values())
    reader.close()


def opening(path: Path, steps: int) -> None:
    waited("open and have the last 1,000 steps", lambda: newest(path), 50)
    waited("everything in memory", lambda: whole(path), 1000, 3)
    history = whole(path)
    assert history.main is not None
    track = history.main
    rng = np.random.default_rng(1)

    def seek() -> None:
        step = int(rng.integers(1, steps))
        for series in track.values():
            assert series.steps[series.until(step) - 1] == step

    waited("seek to a step, in memory", seek, 5, 50)
    reader = Reader(path)
    places = [place for found in reader.archive.chapters() for place in found.chapter.columns]

    def look_up() -> None:
        step = int(rng.integers(1, steps - 10_000))
        [place] = (place for place in places if place.first_step <= step <= place.last_step)
        assert reader.archive.columns(place) is not None

    waited("seek to a step, in the file", look_up, 5, 50)
    began = time.perf_counter()
    buckets = [reader.archive.buckets(place) for _, level in reader.archive.covering() for place in level.places]
    took = 1e3 * (time.perf_counter() - began)
    points = sum(len(one.steps) for one in buckets if one is not None)
    print(f"{'the whole run from its overviews':50}{took:12,.2f} ms, {points:,} buckets of {len(buckets)} frames")
    reader.close()
    peak = float(subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, check=True).stdout)
    print(f"{'memory of the process that has it all':50}{peak:12,.0f} MB")


def first_data(path: Path, folder: Path) -> None:
    """A viewer that comes to a monitor whose run has the whole history already, as ``nnwatch attach`` does."""
    ready = selectors.DefaultSelector()
    reader = Reader(path)
    reader.read()
    server = Server(path, "bench", reader.number, reader.offset, ready, History())
    server.listen(UnixDoor(folder / "s.sock"))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            for key, mask in ready.select(0.05):
                key.data(mask)

    thread = threading.Thread(target=serve)
    thread.start()

    def connect() -> None:
        source = SocketSource(Unix(str(folder / "s.sock")))
        while not source.read():
            pass
        source.close()

    def newest() -> None:
        source = NearSource(Unix(str(folder / "s.sock")), path)
        assert source.recent()
        source.close()

    row("first data to a fresh local viewer, by the socket", least(connect)[1], 150, "ms")
    row("the newest data, by the file", least(newest)[1], 150, "ms")
    stop.set()
    thread.join()
    server.close()


PEAK = """
import sys
from pathlib import Path
from nnwatch import heap
from tests.bench.bench_session import whole
heap.keep_none()
whole(Path(sys.argv[1]))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) / 1024)
"""
TENSORBOARD = """
import json, os, resource, sys, time
from torch.utils.tensorboard import SummaryWriter
steps, folder = int(sys.argv[1]), sys.argv[2]
writer = SummaryWriter(folder)
began = time.process_time()
for step in range(1, steps + 1):
    for i in range(20):
        writer.add_scalar(f"m{i}", 0.5 * step + i, step)
cost = time.process_time() - began
writer.close()
size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
began = time.process_time()
events = EventAccumulator(folder, size_guidance={"scalars": 0})
events.Reload()
assert len(events.Scalars("m3")) == steps
print(json.dumps([1e6 * cost / steps, size / steps, time.process_time() - began]))
"""
WANDB = """
import json, os, sys, time
os.environ["WANDB_SILENT"] = "true"
import wandb
steps, folder = int(sys.argv[1]), sys.argv[2]
run = wandb.init(mode="offline", dir=folder, project="bench", settings=wandb.Settings(console="off"))
began = time.process_time()
for step in range(1, steps + 1):
    run.log({f"m{i}": 0.5 * step + i for i in range(20)})
cost = time.process_time() - began
run.finish()
files = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".wandb")]
size = sum(map(os.path.getsize, files))
print(json.dumps([1e6 * cost / steps, size / steps, None]))
"""


def peers(steps: int) -> Iterator[str]:
    """CPU in the trainer, bytes, and CPU to read it back, of the same 20 curves."""
    for name, code in (("TensorBoard", TENSORBOARD), ("wandb, offline", WANDB)):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-c", code, str(steps), folder], capture_output=True, text=True)
        if done.returncode:
            yield f"{name}: not here ({done.stderr.strip().splitlines()[-1]})"
            continue
        cost, size, read = json.loads(done.stdout.splitlines()[-1])
        back = f"{read:.2f} s CPU to read it back" if read is not None else "no reader of its file in Python"
        yield f"{name}: {steps:,} steps, {cost:.1f} us/step in the trainer, {size:.0f} B/step, {back}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only watch memory for so long")
    options = parser.parse_args()
    if options.soak:
        soak(options.soak)
        return
    print(f"{options.steps:,} steps of {CURVES} curves, flushes of {FLUSH}; Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records(folder)
        monitor(folder)
        path = folder / "long.nnw"
        recorded(path, options.steps)
        sizes(path, options.steps)
        opening(path, options.steps)
        first_data(path, folder)
    for line in peers(10_000):
        print(line)


if __name__ == "__main__":
    main()
