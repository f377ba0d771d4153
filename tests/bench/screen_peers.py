"""W&B LEET and TensorBoard on runs like those of ``bench_tui``: four numbers a step, ten steps a second."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .terminal import Terminal

_BRAILLE = rb"\xe2[\xa0-\xa3]."
"""A dot of a curve."""
_SECONDS = 10.0
Rows = list[tuple[str, str, str]]


@contextmanager
def fed(bin: Path, tool: str, steps: int, seconds: float) -> Iterator[Path]:
    """The folder of a run that ``tool`` writes, and goes on writing for so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        feeder = Path(__file__).with_name("feed_peer.py")
        command = [str(bin / "python"), str(feeder), tool, folder, str(steps), str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder)
        assert process.stdout is not None
        while process.stdout.readline() not in (b"written\n", b""):
            pass
        try:
            yield Path(folder)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def leet(bin: Path, steps: int) -> Rows:
    """What LEET's screen costs at a run of so many steps."""
    with fed(bin, "wandb", steps, 60) as folder:
        run = str(folder / "wandb" / "latest-run")
        terminal = Terminal(str(bin / "wandb"), "leet", run, HOME=str(folder), WANDB_SILENT="true")
        terminal.read(30, until=_BRAILLE)
        drawn = time.monotonic() - terminal.began
        terminal.read(5)
        share, written = terminal.rates(_SECONDS)
        memory = terminal.resident()
        terminal.close()
    return [
        (f"LEET, {steps:,} steps: to its curves", f"{drawn:.2f} s", ""),
        ("  10 more a second", f"{share:.1%} of a core", ""),
        ("  written for each point", f"{written / 10:,.0f} bytes", ""),
        ("  memory", f"{memory:.0f} MB", ""),
    ]


def tensorboard(bin: Path, steps: int) -> Rows:
    """What TensorBoard's server costs at a run of so many steps, the browser not counted."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asked = f"http://127.0.0.1:{port}/data/plugin/scalars/scalars?run=.&tag=loss"
    with fed(bin, "tensorboard", steps, 60) as folder:
        words = ("--logdir", str(folder), "--port", str(port), "--reload_interval", "1", "--load_fast", "false")
        terminal = Terminal(str(bin / "tensorboard"), *words)
        points, deadline = 0, time.monotonic() + 60
        while not points and time.monotonic() < deadline:
            terminal.read(0.1)
            try:
                with urllib.request.urlopen(asked, timeout=5) as answer:
                    last = json.load(answer)[-1]
                    points = last[1] if last[1] >= steps else 0
            except OSError:
                continue
        ready = time.monotonic() - terminal.began
        share, _ = terminal.rates(_SECONDS)
        memory = terminal.resident()
        terminal.process.terminate()
        terminal.process.wait()
    return [
        (f"TensorBoard's server, {steps:,} steps: to all of them", f"{ready:.2f} s" if points else "over 60 s", ""),
        ("  10 more a second, nobody looking", f"{share:.1%} of a core", ""),
        ("  memory", f"{memory:.0f} MB", ""),
    ]


def rows(bin: Path) -> Rows:
    """The figures of those that are installed in the environment with this ``bin`` folder."""
    found: Rows = []
    for name, measure in (("wandb", leet), ("tensorboard", tensorboard)):
        if (bin / name).exists():
            found += measure(bin, 3_000) + measure(bin, 100_000)
    return found
