"""The machine: several GPUs, and processes that have ended."""

import numpy as np

from nnwatch.frame import FieldSpec, Frame, Labels, Run, Schema, Segment

from .driving import asked, lines, opened, press, text
from .recording import START, Frames, block

GPUS, SAMPLES = 8, 20


def machine() -> list[Frame]:
    """Eight GPUs, each busier than the one before; the processes of the run ended before the last sample."""
    names = [f"{i} NVIDIA H100" for i in range(GPUS)]
    single = ["cpu.percent", "host.cpu.percent"]
    each = ["gpu.percent", "gpu.memory.used", "gpu.memory.total"]
    fields = [*(FieldSpec(metric) for metric in single), *(FieldSpec(metric, GPUS, 1) for metric in each)]
    cpu, one = np.full(SAMPLES, 80.0), np.ones((SAMPLES, GPUS))
    cpu[-1] = np.nan
    times = START + np.arange(1, SAMPLES + 1)
    columns = cpu, np.full(SAMPLES, 50.0), one * np.arange(10, 90, 10), one * 2**30, one * 2**32
    return [
        Run("gpus", "r", "lab", [], "", "", START),
        Segment(0, 0, 1, START),
        Labels(1, names),
        Schema(1, "system", fields),
        block(1, np.zeros(SAMPLES), times, *columns),
    ]


async def test_every_gpu_has_its_rows_and_all_are_reached_with_the_arrows():
    async with opened("", size=(80, 24), source=Frames(machine())) as (app, pilot):
        await press(app, pilot, "5")
        assert "GPU 0 NVIDIA H100" in text(app)
        assert "GPU 7 NVIDIA H100" not in text(app)
        await press(app, pilot, *["down"] * (1 + 2 * GPUS))
        rows = lines(app)
        at = next(i for i, line in enumerate(rows) if line.startswith("GPU 7 NVIDIA H100"))
        assert rows[at + 1].split()[:3] == ["busy", "80", "%"]
        assert "25% of 4.0 GiB" in rows[at + 2]
        assert await asked(app, pilot, "i") == "gpu.memory.used"


async def test_processes_that_have_ended_keep_their_past_and_have_no_number():
    async with opened("", size=(80, 24), source=Frames(machine())) as (app, pilot):
        await press(app, pilot, "5")
        row = next(line for line in lines(app) if line.startswith("  CPU"))
        assert row.split()[:2] == ["CPU", "–"]
        assert "█" in row
