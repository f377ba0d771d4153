"""What the screen costs: ``python -m tests.bench.bench_tui [BIN]``, with BIN the folder of an environment's programs
that holds ``wandb`` and ``tensorboard``, to have theirs beside.

The app runs in a process of its own on a real 140x40 pseudo terminal; bytes are what it wrote there, CPU is the
process's own time (user and system). Nothing is asserted: the figures are printed beside what they should be.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nnwatch.frame import Commit, End, FieldSpec, Labels, Run, Schema, Segment
from nnwatch.history import History
from nnwatch.session import Writer
from nnwatch.tui.column import Columns
from nnwatch.tui.draw.grid import Grid, Ink
from nnwatch.tui.draw.plot import Line, dots, plot, tick_count
from nnwatch.tui.draw.scale import fit, scale
from nnwatch.tui.widgets.heat_table import HeatTable

from ..tui.recording import START, block, write
from ..tui.sessions import healthy
from . import screen_peers
from .terminal import Terminal

SECONDS = 10.0


def million(steps: int = 1_000_000) -> History:
    """A loss curve of a million steps."""
    rng = np.random.default_rng(0)
    n = np.arange(1, steps + 1)
    history = History()
    history.apply(Segment(0, 0, 1, START))
    history.apply(Schema(1, "step", [FieldSpec("loss.train")]))
    history.apply(block(1, n, START + n * 0.01, 2.3 / (1 + n / 50_000) * np.exp(rng.normal(0, 0.1, steps))))
    return history


PER_STEP = (
    "loss.train", "loss.root", "lr", "batch.size", "epoch", "step.seconds", "data.wait", "grad.norm", "grad.clip.norm",
    "grad.clip.max", "accuracy.train", "input.mean", "input.std", "input.min", "input.max", "target.mean", "target.std",
    "watch.cost", "watch.every", "step.skipped",
)  # fmt: skip
PER_LAYER = ("update.ratio", "grad.norm.layer", "weight.norm")


def long_run(path: Path, steps: int = 1_000_000, layers: int = 200, flush: int = 1_024, every: int = 100) -> None:
    """A session of 20 metrics a step and, every so many steps, three metrics of so many layers."""
    rng = np.random.default_rng(0)
    writer = Writer(path)
    names = [f"blocks.{i // 4}.{('qkv', 'proj', 'fc1', 'fc2')[i % 4]}.weight" for i in range(layers)]
    writer.append(
        [
            Run("long", "1", "host", [], "", "", START), Segment(0, 0, 1, START), Labels(1, names),
            Schema(1, "step", [FieldSpec(metric) for metric in PER_STEP]),
            Schema(2, "sample", [FieldSpec(metric, layers, 1) for metric in PER_LAYER]),
        ],
        Commit(START),
    )  # fmt: skip
    noise = np.exp(rng.normal(0, 0.1, (flush, len(PER_STEP)))).astype(np.float32)
    wide = np.exp(rng.normal(-7, 1, (flush, len(PER_LAYER) * layers))).astype(np.float32)
    for first in range(1, steps + 1, flush):
        n = np.arange(first, min(first + flush, steps + 1))
        noise[:, PER_STEP.index("epoch")], noise[:, PER_STEP.index("lr")] = 1 + first // 20_000, 0.1
        sampled = n[n % every == 0]
        writer.append(
            [
                block(1, n, START + n * 0.01, noise[: len(n)]),
                block(2, sampled, START + sampled * 0.01, wide[: len(sampled)]),
            ],
            Commit(START + float(n[-1]) * 0.01),
        )
    writer.append([End(START + steps * 0.01, "finished", 0)], Commit(START + steps * 0.01))
    writer.close()


def frame(columns, track, width: int = 120, height: int = 30) -> Grid:
    """One whole chart, raw band and average."""
    column = columns.get(track, "loss.train")
    x = fit(0, int(column.steps[-1]), dots(width, "braille"))
    edges = x.edges()
    lines = [Line(column.extremes(edges), Ink.BAND), Line(column.smoothed(0.999).extremes(edges), Ink.SERIES)]
    grid = Grid(width, height)
    y = scale("linear", float(np.nanmin(lines[0].extremes.low)), float(np.nanmax(lines[0].extremes.high)))
    ticks = [(x.column(step), f"{step:.0f}") for step in x.ticks(tick_count(width))]
    plot(grid, lines, ticks, y)
    return grid


def cells(repeats: int = 60) -> tuple[float, float]:
    """CPU ms of a whole 120x30 chart at a million points, and of taking the million in (pyramid and average)."""
    history, columns = million(), Columns()
    begin = time.process_time()
    frame(columns, history.main)
    first = time.process_time() - begin
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        frame(columns, history.main)
        taken.append(time.process_time() - begin)
    return 1e3 * float(np.median(taken)), 1e3 * first


def shown(*words: str) -> Terminal:
    """The app in a process of its own."""
    return Terminal(sys.executable, "-m", "tests.bench.bench_tui", "--show", *words)


def live(rate: float, size: str) -> tuple[float, float]:
    """(CPU share, bytes a second) of the live overview at ``rate`` appends a second."""
    terminal = shown("live", str(rate), size)
    terminal.read(20, until=b"RUNNING")
    terminal.read(3)  # what is drawn at the start
    found = terminal.rates(SECONDS)
    terminal.close()
    return found


def first_frame(path: Path) -> tuple[float, float, float]:
    """Seconds from the start of the command to the first frame, CPU seconds that took, and seconds to one with the run
    in it."""
    terminal = Terminal(sys.executable, "-m", "nnwatch", "attach", str(path))
    terminal.read(20, until=b"overview")
    first, cpu = time.monotonic() - terminal.began, terminal.cpu()
    terminal.read(20, until=b"ema")
    whole = time.monotonic() - terminal.began
    terminal.close()
    return first, cpu, whole


class Ticking:
    """A source that gives a million steps and then ``rate`` more a second."""

    lost: str | None = None

    def __init__(self, rate: float, steps: int) -> None:
        self.rate = rate
        self.done = 0
        self.steps = steps
        self.rng = np.random.default_rng(1)
        self.began = 0.0

    def read(self):
        if not self.done:
            self.done = self.steps
            self.began = time.monotonic()
            n = np.arange(1, self.steps + 1)
            loss = 2.3 / (1 + n / self.steps * 20) * np.exp(self.rng.normal(0, 0.1, self.steps))
            fields = [FieldSpec("loss.train"), FieldSpec("lr"), FieldSpec("grad.norm"), FieldSpec("step.seconds")]
            row = [loss, np.full(len(n), 0.1), np.ones(len(n)), np.full(len(n), 0.1)]
            return [
                Run("bench", "1", "host", [], "", "", START), Segment(0, 0, 1, START), Schema(1, "step", fields),
                block(1, n, START + n * 0.1, *row), Commit(START),
            ]  # fmt: skip
        due = self.steps + int((time.monotonic() - self.began) * self.rate)
        if due <= self.done:  # like a socket: until something comes, at most a tenth of a second
            wait = (due + 1 - self.steps) / self.rate - (time.monotonic() - self.began) if self.rate else 0.1
            time.sleep(min(max(wait, 0), 0.1))
            return []
        n = np.arange(self.done + 1, due + 1)
        self.done = due
        loss = 0.1 * np.exp(self.rng.normal(0, 0.1, len(n)))
        lr, norm, pace = np.full(len(n), 0.1), np.ones(len(n)), np.full(len(n), 0.1)
        return [block(1, n, START + n * 0.1, loss, lr, norm, pace), Commit(START + due * 0.1)]

    def close(self) -> None:
        """Nothing is held."""


class Given:
    """A source that gives some frames once."""

    lost: str | None = None

    def __init__(self, frames) -> None:
        self.frames = frames

    def read(self):
        given, self.frames = self.frames, []
        if not given:
            time.sleep(0.05)
        return given

    def close(self) -> None:
        """Nothing is held."""


async def layer_table(rows: int = 1_500, repeats: int = 40) -> tuple[float, float]:
    """CPU ms of a new sample of so many layers, drawn and painted, and of moving the cursor one page."""
    from nnwatch.tui.app import NnwatchApp

    rng = np.random.default_rng(0)

    def sample(n):
        return block(2, n, START + n, *(np.exp(rng.normal(-7, 1, (len(n), rows))) for _ in PER_LAYER))

    names = [f"blocks.{i // 4}.{('qkv', 'proj', 'fc1', 'fc2')[i % 4]}.weight" for i in range(rows)]
    schema = Schema(2, "sample", [FieldSpec(metric, rows, 1) for metric in PER_LAYER])
    opening = [Run("layers", "1", "host", [], "", "", START), Segment(0, 0, 1, START), Labels(1, names), schema]
    app = NnwatchApp(Given([*opening, sample(np.arange(1, 1_001))]), "attach", ascii=False)
    updated: list[float] = []
    moved: list[float] = []
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press("2")
        await pilot.pause(0.5)
        app.feed.stop()
        table = app.screen.query_one(HeatTable)
        table.action_fold()
        for i in range(repeats):
            app.history.apply(sample(np.arange(1_001 + i, 1_002 + i)))
            for what, taken in ((None, updated), (20, moved)):
                begin = time.process_time()
                if what is not None:
                    table.action_move(what)
                app.tick()
                app.screen._on_timer_update()
                taken.append(time.process_time() - begin)
                await asyncio.sleep(0)
    return 1e3 * float(np.median(updated)), 1e3 * float(np.median(moved))


def long_session(path: Path) -> tuple[float, float, float, float, float]:
    """A recorded run of a million steps: seconds to its overview, CPU seconds that took, seconds until all is read, the
    slowest seek in CPU ms, resident MB."""
    terminal = shown("file", str(path))
    terminal.read(20, until=b"ema")
    drawn, cpu = time.monotonic() - terminal.began, terminal.cpu()
    terminal.read(30, until=b"FINISHED")
    whole = time.monotonic() - terminal.began
    slowest = 0.0
    for keys in (b"\x1b[H", b"@500000\r", b"@250000\r", b"\x1b[D", b"@900000\r", b"\x1b[F"):
        if keys.startswith(b"@"):  # the answer is typed once the question is there
            terminal.press(b"@")
            terminal.read(5, until=b"go to step")
        before = terminal.cpu()
        terminal.press(keys.removeprefix(b"@"))
        terminal.read(1)
        slowest = max(slowest, terminal.cpu() - before)
    memory = terminal.resident()
    terminal.close()
    return drawn, cpu, whole, 1e3 * slowest, memory


def show(kind: str, *words: str) -> None:
    """What the child process does: the app on a growing run or on a file."""
    from nnwatch.tui.app import NnwatchApp
    from nnwatch.tui.feed import Source

    from ..tui.recording import File

    source: Source = File(words[0]) if kind == "file" else Ticking(float(words[0]), int(words[1]))
    NnwatchApp(source, "attach", ascii=False).run()


def main() -> None:
    rows = []
    whole, taken = cells()
    rows.append(("whole 120x30 chart, 1,000,000 points", f"{whole:.1f} ms CPU", "6 ms"))
    rows.append(("  taking 1,000,000 points in, once", f"{taken:.0f} ms CPU", ""))
    for size in ("1000", "100000", "1000000"):
        share, written = live(10, size)
        name = f"overview 140x40, {int(size):,} points, 10 more a second"
        rows.append((name, f"{share:.1%} of a core", "3 %"))
        rows.append(("  written for each point", f"{written / 10:,.0f} bytes", "2,000"))
    share, written = live(0, "100000")
    rows.append(("overview, nothing changes", f"{share:.2%} of a core", "0.5 %"))
    rows.append(("  written", f"{written:.0f} bytes/s", "0"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.nnw"
        write(path, healthy())
        runs = zip(*(first_frame(path) for _ in range(5)), strict=True)
        first, used, drawn = (float(np.median(times)) for times in runs)
        rows.append(("first frame, recorded run of 3,000 steps", f"{first:.2f} s", "0.5 s"))
        rows.append(("  of CPU, which is all of it on a quiet machine", f"{used:.2f} s", ""))
        rows.append(("  with its curves", f"{drawn:.2f} s", ""))
        long_run(path.with_name("long.nnw"))
        overview, used, loaded, seek, memory = long_session(path.with_name("long.nnw"))
        rows.append(("overview of 1,000,000 steps x 20 metrics x 200 layers", f"{overview:.2f} s", "1 s"))
        rows.append(("  of CPU", f"{used:.2f} s", ""))
        rows.append(("  all of it read", f"{loaded:.2f} s", ""))
        rows.append(("  slowest seek", f"{seek:.0f} ms CPU", "100 ms"))
        rows.append(("  memory", f"{memory:.0f} MB", "600 MB"))
    updated, moved = asyncio.run(layer_table())
    rows.append(("1,500 layers, a new sample drawn and painted", f"{updated:.1f} ms CPU", "6 ms"))
    rows.append(("  one page down", f"{moved:.1f} ms CPU", ""))
    for folder in sys.argv[1:]:
        rows += screen_peers.rows(Path(folder))
    print(f"{'what':<58}{'measured':>18}{'wanted, at most':>18}")
    for name, measured, wanted in rows:
        print(f"{name:<58}{measured:>18}{wanted:>18}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(*sys.argv[2:])
    else:
        main()
