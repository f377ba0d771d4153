"""A check that is ended from outside: nothing is left running, nothing is left behind."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from ..nnwatch.doors import PATIENCE, until
from .trying import PLAIN

SLOW = PLAIN.replace("EPOCHS", "100000").replace("loss.backward()", "loss.backward(); time.sleep(0.02)")
STARTS = """
import os, subprocess, sys, time
if "TRAINER" not in os.environ:  # as torchrun does it: in a session of its own
    trainer = subprocess.Popen([sys.executable, __file__], env=os.environ | {"TRAINER": "1"}, start_new_session=True)
    sys.exit(trainer.wait())
"""


@pytest.fixture
def pid(home):
    """Where the trainer writes its number: outside of what is contained."""
    path = Path("/dev/shm") / f"{os.getpid()}-{home.folder.name}"
    yield path
    path.unlink(missing_ok=True)


def started(home, pid, head=""):
    """A check of a script that is training, and the number of the process that does."""
    home.script("train.py", head + f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\n" + SLOW)
    process = home.start("check", "train.py", start_new_session=True)
    until(lambda: pid.exists() and pid.read_text().isdigit())
    return process, int(pid.read_text())


def gone(pid):
    """Or only waits to be reaped."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def scratches(home):
    """Of the newest check."""
    spec = max((home.folder / "state/nnwatch/jobs").glob("*/contain.json"), key=lambda path: path.stat().st_mtime)
    return [Path(path) for path in json.loads(spec.read_text())["scratches"]]


@pytest.mark.parametrize("head", ["", STARTS], ids=["itself", "below"])
def test_an_interrupt_ends_the_script_too(home, pid, head):
    process, trainer = started(home, pid, head)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    until(lambda: gone(trainer))
    assert not any(path.exists() for path in scratches(home))


def test_a_check_that_is_killed_does_not_go_on_and_the_next_one_clears_up(home, pid):
    process, trainer = started(home, pid, STARTS)
    until(lambda: any((home.folder / "state/nnwatch/jobs").glob("*/told")))  # it trains
    conductor = next(p for p in psutil.Process(process.pid).children() if "nnwatch.check.conduct" in p.cmdline())
    conductor.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: gone(trainer))
    left = scratches(home)
    assert all(path.exists() for path in left)
    for path in left:
        os.utime(path, (time.time() - 3600,) * 2)
    home.script("train.py", PLAIN.replace("EPOCHS", "1"))
    done = home.nnwatch("check", "--only", "scheduler", "train.py")
    assert done.returncode == 0, done.stderr
    assert not any(path.exists() for path in left)


def test_scratch_folders_that_somebody_holds_stay(home, pid):
    process, _ = started(home, pid)
    held = scratches(home)
    for path in held:
        os.utime(path, (time.time() - 3600,) * 2)
    try:
        clear = "from pathlib import Path; from nnwatch.check.enclosure import _clear; _clear(Path('/tmp'))"
        psutil.Popen([sys.executable, "-c", clear]).wait()
        assert all(path.exists() for path in held)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)
