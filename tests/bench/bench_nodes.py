"""`make bench-nodes`: 64 ranks at 100 steps/s each, into one session: what it costs the first node's monitor.

Ranks fill their rings as the probes would, without torch: 20 curves every step, and a table of 50 layers x 8 metrics
every 50th. Once they are 8 nodes of 8, whose monitors join the first one over TCP, and once 64 on one node. All of it
runs on this machine, so CPU time is what counts: of each monitor, in cores, while all train. Nothing may be missing.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from nnwatch.card import Card
from nnwatch.frame import Block, Commit, FieldSpec, Frame, Schema, Segment, pack
from nnwatch.nodes.adopt import Adopter
from nnwatch.parser import Parser
from nnwatch.process import Process
from nnwatch.recorder import Recorder

from ..nnwatch.doors import Home, history, until
from .soak import memory

RANKS, STEPS_PER_SECOND, CURVES, WARM, SECONDS = 64, 100, 20, 10.0, 40.0
TABLE, TABLE_EVERY = (50, 8), 50
TOKEN = "the-token-of-the-bench"
TRAINER = f"""
import json, os, struct, sys, time
first, ranks, steps = map(int, sys.argv[1:])
boot = os.environ["PYTHONPATH"].split(os.pathsep)[0]
settings = json.load(open(boot + "/settings.json"))
sys.path.insert(0, boot)
from nnwatch.ring import Writer
start = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
layers, metrics = {TABLE}
curves = [["loss.train", 1, 0], ["step.seconds", 1, 0], ["data.wait", 1, 0]]
curves += [[f"user.m{{i}}", 1, 0] for i in range({CURVES} - len(curves))]
rings = []
for rank in range(first, first + ranks):
    name = f"{{os.getpid()}}-{{start}}-{{rank}}.ring"
    ring = Writer(f"{{settings['rings'][0]}}/{{name}}", 1 << 20, os.getpid(), start)
    ring.set_rank(rank)
    begin = {{"kind": "segment", "segment": 0, "rank": rank, "reason": "start", "first_step": 0, "time": time.time()}}
    ring.declare(begin)
    ring.declare({{"kind": "labels", "id": 1, "names": [f"layer.{{i}}" for i in range(layers)]}})
    ring.declare({{"kind": "schema", "id": 1, "name": "step", "fields": curves}})
    tables = [["grad.norm", layers, 1]] + [[f"user.t{{i}}", layers, 1] for i in range(metrics - 1)]
    ring.declare({{"kind": "schema", "id": 2, "name": "sample", "fields": tables}})
    facts = {{"planned_steps": steps, "distributed": True}}
    ring.event({{"name": "facts", "segment": 0, "step": 0, "time": time.time(), "data": facts}})
    rings.append(ring)
step_record, table_record = struct.Struct("<qqd{CURVES}f"), struct.Struct(f"<qqd{{layers * metrics}}f")
began, step = time.monotonic(), 0
while step < steps:
    while step < min(steps, (time.monotonic() - began) * {STEPS_PER_SECOND}):
        step += 1
        for rank, ring in enumerate(rings):
            values = [(step * (7 + i + rank) % 1009) / 1009 for i in range({CURVES} - 3)]
            ring.write(1, step_record.pack(0, step, time.time(), 2.0 + values[0], 0.01, 0.001, *values))
            if step % {TABLE_EVERY} == 0:
                table = [0.5 + rank / 100] * (layers * metrics)
                ring.write(2, table_record.pack(0, step, time.time(), *table))
    time.sleep(0.01)
for ring in rings:
    ring.close()
"""


def cpu_seconds(process: Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watched(home: Home, nodes: int) -> list[tuple[subprocess.Popen[str], Card]]:
    """The launchers of all nodes and their cards; the first one is the first."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ranks, steps = RANKS // nodes, int((WARM + SECONDS) * STEPS_PER_SECOND)
    join = ["--join", f"127.0.0.1:{port}"] if nodes > 1 else []

    def start(node: int) -> subprocess.Popen[str]:
        words = [*join, "--name", f"node{node}", "many.py", str(node * ranks), str(ranks), str(steps)]
        return home.start("run", *words, env={"NNWATCH_TOKEN": TOKEN}, stdout=subprocess.DEVNULL)

    def card(node: int) -> Card:
        def look() -> Card | None:
            return next((c for c in home.cards() if c.name == f"node{node}" and c.monitor is not None), None)

        found = until(look)
        assert isinstance(found, Card)
        return found

    processes = [start(0)]
    cards = [card(0)]  # it listens
    processes += [start(node) for node in range(1, nodes)]  # they end together, as the ranks of a job do
    return [*zip(processes, cards + [card(node) for node in range(1, nodes)], strict=True)]


def measure(nodes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.script("many.py", TRAINER)
        made = watched(home, nodes)
        first = made[0][1]
        until(lambda: len(history(first.session).tracks) == RANKS)
        time.sleep(WARM / 2)
        monitors = [card.monitor for _, card in made if card.monitor is not None]
        before, began, size = (
            [cpu_seconds(one) for one in monitors],
            time.monotonic(),
            Path(first.session).stat().st_size,
        )
        time.sleep(SECONDS / 2)
        passed = time.monotonic() - began
        cores = [(cpu_seconds(one) - was) / passed for one, was in zip(monitors, before, strict=True)]
        grown = (Path(first.session).stat().st_size - size) / passed
        resident = memory(monitors[0].pid)
        for process, _ in made:
            process.communicate(timeout=300)
        seen = history(first.session)
        steps = int((WARM + SECONDS) * STEPS_PER_SECOND)
        records = sum(len(track["loss.train"]) for track in seen.tracks.values())
        dropped = seen.commit.dropped if seen.commit is not None else -1
        others = f", the monitors of the others {sum(cores[1:]) / (len(cores) - 1):.3f} each" if nodes > 1 else ""
        print(
            f"{nodes} node{'s' * (nodes > 1)} of {RANKS // nodes} ranks at {STEPS_PER_SECOND} steps/s, {steps} steps:"
        )
        print(f"  the first monitor takes {cores[0]:.3f} cores (bar: 1){others}")
        print(f"  its memory is {resident.own:.0f} MB of its own; its session grows by {grown / 1e3:,.0f} kB/s,"
              f" {grown / RANKS / STEPS_PER_SECOND:.0f} bytes a rank and step")  # fmt: skip
        print(f"  {records:,} of {RANKS * steps:,} steps are in it; {dropped} records found no room in a ring;"
              f" it {seen.end.status if seen.end is not None else 'has no end'}")  # fmt: skip


def many(nodes: int, ranks: int, steps: int) -> None:
    """What one flush of very many ranks costs: from the bytes of their sessions into history and file."""
    with tempfile.TemporaryDirectory() as folder:
        card = Card("first", "first", f"{folder}/first.nnw", [], "/", 0.0)
        recorder = Recorder(Path(folder), card, lambda frame, again: None)
        adopters = [Adopter(node, f"n{node}", 0.0, 0.0, recorder.ids) for node in range(nodes)]
        parsers = [Parser() for _ in range(nodes)]
        schema = Schema(1, "step", [FieldSpec(f"user.m{i}") for i in range(CURVES)])
        values = np.arange(CURVES * steps, dtype=np.float32).tobytes()
        costs, before = [], 0.0
        for flush in range(12):
            numbers = np.arange(flush * steps + 1, (flush + 1) * steps + 1)
            record = numbers.tobytes(), (numbers * 0.5).tobytes(), values
            sent = []
            for node in range(nodes):
                of_node = range(node * ranks, (node + 1) * ranks)
                told: list[Frame] = [schema, *(Segment(0, rank, 1, 1.0) for rank in of_node)] if flush == 0 else []
                told += [Block(1, 0, rank, steps, *record) for rank in of_node]
                sent.append(b"".join(map(pack, [*told, Commit(float(flush))])))
            began = time.process_time()
            for adopter, parser, data in zip(adopters, parsers, sent, strict=True):
                for frame in parser.feed(data):
                    for adopted in adopter.take(frame):
                        recorder.take(adopted)
            recorder.write(float(flush), {}, 0)
            costs.append(time.process_time() - began)
            if flush == 1:
                before = memory(os.getpid()).own
        cost, grown = median(costs[2:]), memory(os.getpid()).own - before
        print(f"{nodes * ranks:,} ranks of {nodes} nodes, {steps} steps of each in a flush:")
        print(f"  {1e3 * cost:,.0f} ms of CPU a flush, {1e6 * cost / nodes / ranks:.0f} us a rank")
        print(f"  ten flushes take {grown:,.0f} MB of memory")


if __name__ == "__main__":
    for count in map(int, sys.argv[1:] or ("8", "1")):
        measure(count)
    many(512, 8, 1)
    many(512, 8, 10)
