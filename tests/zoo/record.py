"""Records configurations: each is one true ``nnwatch run`` with a session file of its own.

    python -m tests.zoo.record [--half tuning|aside] [--workers 2] [NAME...]

Layers are sampled as often as the probes can (``--budget 100%``: every one of the first 20 steps, then every second):
trainings of a few hundred steps stand for ones of a few hundred thousand, and published rule sets want every step.
What is there already and was made from the same script is kept; delete the folder to record with other probes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import data
from .catalogue import Configuration, configurations

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".nnwatch-zoo"
SEED = 0
LIMIT = 300
"""Seconds for one recording; one that takes longer, on a busy machine, is left for the next call."""


def session(configuration: Configuration, home: Path = HOME) -> Path:
    """Where the recording of a configuration lies; its script is beside it, as ``.py``."""
    plain = re.sub(r"[^\w.-]+", "_", configuration.name)
    return home / "sessions" / configuration.family / f"{plain}.nnw"


def recorded(configuration: Configuration, home: Path = HOME) -> bool:
    path = session(configuration, home)
    script = path.with_suffix(".py")
    return path.exists() and script.exists() and script.read_text() == configuration.script({"seed": SEED})


def record(configuration: Configuration, home: Path = HOME) -> float:
    """Train it under nnwatch, in a folder of its own; the wall time in seconds."""
    path, script = session(configuration, home), configuration.script({"seed": SEED})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nnwatch-zoo-") as folder:
        here = Path(folder)
        for file in (home / "work").iterdir():
            if file.suffix != ".jsonl":
                (here / file.name).symlink_to(file)
        (here / "train.py").write_text(script)
        made = here / "run.nnw"
        command = [sys.executable, "-m", "nnwatch", "run", "--headless", "--budget", "100%", "--session", str(made)]
        command += ["--python", sys.executable, "train.py"]
        env = {key: value for key, value in os.environ.items() if not key.startswith("NNWATCH")}
        env |= {"OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(here / "state"), "PYTHONPATH": str(ROOT)}
        try:
            subprocess.run(command, cwd=here, env=env, capture_output=True, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return LIMIT
        shutil.move(made, path)
    path.with_suffix(".py").write_text(script)
    return time.monotonic() - began


def record_all(chosen: Iterable[Configuration], workers: int = 2, home: Path = HOME) -> None:
    """Record those that are missing, ``workers`` at a time."""
    data.write(home / "work")
    missing = [one for one in chosen if not recorded(one, home)]
    began = time.monotonic()
    print(f"{len(missing)} sessions to record", flush=True)
    with ThreadPoolExecutor(workers) as pool:
        for number, (one, seconds) in enumerate(
            zip(missing, pool.map(lambda one: record(one, home), missing), strict=True), 1
        ):
            print(f"{number:4} {time.monotonic() - began:6.0f} s  {one.id}  ({seconds:.1f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Record the zoo.")
    parser.add_argument("--half", choices=("tuning", "aside"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("names", nargs="*", help="configurations whose id contains one of these")
    args = parser.parse_args()
    record_all(
        [
            one
            for one in configurations().values()
            if (not args.half or one.half == args.half) and (not args.names or any(n in one.id for n in args.names))
        ],
        args.workers,
    )


if __name__ == "__main__":
    main()
