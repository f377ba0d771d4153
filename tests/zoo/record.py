"""Records configurations with `nnwatch run`, a dozen processes a job, and gives each a session file of its own.

    python -m tests.zoo.record [--half tuning|aside] [--workers 2] [NAME...]

Layers are sampled as often as the probes can (``--budget 100%``: every one of the first 20 steps, then every second):
trainings of a few hundred steps stand for ones of a few hundred thousand, and published rule sets want every step.
What is there already and was made from the same script is kept; delete the folder to record with other probes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nnwatch.frame import Commit, Frame, Segment
from nnwatch.session import Reader, Writer

from . import data
from .catalogue import Configuration, configurations
from .split import Ran, of_process

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".nnwatch-zoo"
SEED = 0
WARM = Path(__file__).parent / "warm.py"
TOGETHER = 12
"""Configurations under one `nnwatch run`, so that torch, launcher and monitor start once for all of them."""
LIMIT = 600
"""Seconds for these; what is not done by then, on a busy machine, is left for the next call."""


def session(configuration: Configuration, home: Path = HOME) -> Path:
    """Where the recording of a configuration lies; its script is beside it, as ``.py``."""
    plain = re.sub(r"[^\w.-]+", "_", configuration.name)
    return home / "sessions" / configuration.family / f"{plain}.nnw"


def recorded(configuration: Configuration, home: Path = HOME) -> bool:
    path = session(configuration, home)
    script = path.with_suffix(".py")
    return path.exists() and script.exists() and script.read_text() == configuration.script({"seed": SEED})


def record(chosen: Sequence[Configuration], home: Path = HOME) -> None:
    """Train some configurations under one `nnwatch run`, in processes of their own; a session file for each."""
    with tempfile.TemporaryDirectory(prefix="nnwatch-zoo-") as folder:
        here = Path(folder)
        places = [here / str(number) for number in range(len(chosen))]
        for one, place in zip(chosen, places, strict=True):
            place.mkdir()
            for file in (home / "work").iterdir():
                if file.suffix != ".jsonl":
                    (place / file.name).symlink_to(file)
            (place / "train.py").write_text(one.script({"seed": SEED}))
        made = here / "run.nnw"
        command = [sys.executable, "-m", "nnwatch", "run", "--headless", "--budget", "100%", "--session", str(made)]
        command += ["--python", sys.executable, str(WARM), *map(str, places)]
        env = {key: value for key, value in os.environ.items() if not key.startswith("NNWATCH")}
        env |= {"OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(here / "state"), "PYTHONPATH": str(ROOT)}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, cwd=here, env=env, capture_output=True, timeout=LIMIT, check=False)
        reader = Reader(made)
        frames = reader.read()
        reader.close()
        watched = {frame.pid for frame in frames if isinstance(frame, Segment)}
        for one, place in zip(chosen, places, strict=True):
            if (place / "done.json").exists():
                ran = Ran(**json.loads((place / "done.json").read_text()))
                if ran.code or ran.pid in watched:  # what ended well without a trace was not watched
                    _keep(one, frames, ran, home)


def _keep(one: Configuration, frames: Sequence[Frame], ran: Ran, home: Path) -> None:
    path = session(one, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    writer = Writer(path)
    writer.append(of_process(frames, ran), Commit(ran.ended))
    writer.close()
    path.with_suffix(".py").write_text(one.script({"seed": SEED}))


def record_all(chosen: Iterable[Configuration], workers: int = 2, home: Path = HOME) -> None:
    """Record those that are missing, ``workers`` jobs at a time."""
    data.write(home / "work")
    missing = [one for one in chosen if not recorded(one, home)]
    groups = [missing[i : i + TOGETHER] for i in range(0, len(missing), TOGETHER)]
    began = time.monotonic()
    print(f"{len(missing)} sessions to record", flush=True)
    with ThreadPoolExecutor(workers) as pool:
        for group, _ in zip(groups, pool.map(lambda group: record(group, home), groups), strict=True):
            for one in group:
                lost = "" if recorded(one, home) else "  (not recorded: call again)"
                print(f"{time.monotonic() - began:6.0f} s  {one.id}{lost}", flush=True)


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
