"""How long a folder of 200 runs of others takes to list, and each format to open: `python -m tests.bench.bench_logs`.

CPU seconds of a process of its own, medians of five. The logs are those of the tests.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.logs.reading import PATHS, told

RUNS = 200
KINDS = ("tensorboard", "wandb", "mlflow", "trainer", "lightning")


def seconds(words: list[str]) -> tuple[float, float]:
    """Wall and CPU time of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-m", "nnwatch", *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(RUNS):
            path = PATHS[KINDS[number % len(KINDS)]]
            shutil.copytree(path, Path(folder) / f"run-{number:03}" / path.name)
        wall, cpu = zip(*(seconds(["ls", folder]) for _ in range(5)), strict=True)
    print(f"ls of {RUNS} runs: {median(cpu):.2f} s CPU, {median(wall):.2f} s wall")
    for name, path in PATHS.items():
        times = []
        for _ in range(5):
            began = time.process_time()
            history = told(path)
            times.append(time.process_time() - began)
        records = sum(len(series) for series in history.main.values()) if history.main else 0
        print(f"{name:12} {records:5} records read and judged in {1000 * median(times):.0f} ms CPU")


if __name__ == "__main__":
    main()
