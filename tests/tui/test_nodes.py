"""Runs on several machines."""

import numpy as np
from msgspec import structs

from nnwatch.frame import Block, Console, Event, FieldSpec, Frame, Schema, Segment
from nnwatch.history import MACHINE

from .driving import lines, opened, press, text
from .recording import START, Frames, ranked

FIELDS = ("host.cpu.percent", "cpu.percent", "host.memory.used", "host.memory.total", "disk.free")
GB = 2.0**30


def machines(*cpu: float) -> list[Frame]:
    """A run of two ranks whose first node and further ones are so busy, in percent; NaN for one that tells nothing."""
    frames = ranked([0.1, 0.1])
    frames += [Schema(90 + i, name, [FieldSpec(one) for one in FIELDS]) for i, name in enumerate(("system", MACHINE))]
    time = START + 10
    for node, percent in enumerate(cpu):
        if node:
            data = {"state": "joined", "node": node, "host": f"gpu{node}"}
            frames.append(Event("node", START, data=data))
        values = np.array([percent, 2 * percent, 3 * GB, 12 * GB, 50 * GB], np.float32).tobytes()
        when = np.float64(time if np.isfinite(percent) else time - 40).tobytes()
        schema, segment = (91, -1) if node else (90, 0)
        frames.append(Block(schema, segment, node, 1, np.int64(100).tobytes(), when, values))
    return frames


def rows(app):
    shown = lines(app)
    heading = next(y for y, line in enumerate(shown) if line.startswith("node"))
    return [line.split() for line in shown[heading + 1 :] if line[:1].isdigit()]


async def test_every_node_has_a_row_and_one_that_tells_nothing_is_marked():
    source = Frames(machines(10, 90, float("nan")))
    async with opened("faulty", size=(80, 40), source=source) as (app, pilot):
        await press(app, pilot, "5")
        assert rows(app)[0][:5] == ["0", "lab", "10", "%", "20"]
        assert rows(app)[1][:9] == ["1", "gpu1", "90", "%", "180", "%", "3.0", "GiB", "(25%)"]
        assert rows(app)[2] == ["2", "gpu2", "silent", "for", "40", "s"]


async def test_a_rank_is_told_with_its_node_and_a_column_for_which_there_is_no_room_is_left_out():
    frames = [structs.replace(f, node=f.rank) if isinstance(f, Segment) else f for f in machines(10, 90)]
    async with opened("faulty", size=(80, 40), source=Frames(frames)) as (app, pilot):
        await press(app, pilot, "5")
        ranks = [line for line in lines(app) if line[:1].isdigit()][-2:]
        assert [line[45:51].strip() for line in ranks] == ["0", "1"]
    async with opened("faulty", size=(45, 40), source=Frames(frames)) as (app, pilot):
        await press(app, pilot, "5")
        assert next(line for line in lines(app) if line.startswith("node")).split() == [
            "node",
            "host",
            "CPU",
            "this",
            "run",
        ]
        assert rows(app)[1][:6] == ["1", "gpu1", "90", "%", "180", "%"]


async def test_of_many_nodes_the_odd_ones_come_first():
    source = Frames(machines(*[50.0] * 10, 5.0, float("nan")))
    async with opened("faulty", size=(80, 50), source=source) as (app, pilot):
        await press(app, pilot, "5")
        assert [row[0] for row in rows(app)[:3]] == ["11", "10", "0"]
        assert "4 more, nearer to what most do" in text(app)


async def test_the_console_of_each_node_is_a_key_away():
    printed: list[Frame] = [Console(START, "half a li"), Console(START, "over there\n", node=1), Console(START, "ne\n")]
    async with opened("faulty", size=(80, 24), source=Frames([*machines(10, 90), *printed])) as (app, pilot):
        await press(app, pilot, "6")
        assert "what the script printed on node 0 (lab); n shows the next one of 2" in text(app)
        assert "half a line" in text(app)
        assert "over there" not in text(app)
        await press(app, pilot, "n")
        assert "on node 1 (gpu1)" in text(app)
        assert "over there" in text(app)
        assert "half a line" not in text(app)
        await press(app, pilot, "n")
        assert "half a line" in text(app)
