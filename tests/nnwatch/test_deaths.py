"""Who dies, stops or runs dry, and what is lost of it: every published record is counted against the session."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from nnwatch import recorder
from nnwatch.card import Card
from nnwatch.frame import Block
from nnwatch.process import Process
from nnwatch.recorder import Recorder

from .doors import NNWATCH, PATIENCE, fill, frames, history, kill, needs_tmpfs, steps, until
from .terminals import in_a_terminal, read_until


def counted(home) -> int:
    """Records that the trainer has published, whatever became of it."""
    return int.from_bytes((home.folder / "count").read_bytes(), "little")


@pytest.fixture
def home(home):
    home.env["COUNT"] = str(home.folder / "count")
    home.gate(51)
    return home


def test_a_killed_launcher_costs_no_step(home):
    process = home.start("run", "trainer.py", "100000", "0.002", "close")
    card = home.running(50)
    home.go_on()
    process.kill()
    process.communicate()
    until(lambda: history(card.session).end)
    assert history(card.session).end.status == "lost"
    assert steps(card.session) == list(range(1, counted(home) + 1))


def test_a_killed_launcher_of_a_job_with_a_screen_leaves_the_training_alone(home, monkeypatch):
    for name, value in home.env.items():
        monkeypatch.setenv(name, value)
    pid, terminal = in_a_terminal(
        home, "env", "TERM=xterm-256color", *NNWATCH, "run", "trainer.py", "150", "0.02", "close"
    )
    card = home.running(50)
    read_until(terminal, b"RUNNING")
    os.kill(card.launcher.pid, signal.SIGKILL)
    home.go_on()
    end = until(lambda: history(card.session).end)
    assert (end.status, "launcher was killed" in end.cause) == ("lost", True)
    assert steps(card.session) == list(range(1, 151))
    os.close(terminal)
    until(lambda: os.waitpid(pid, os.WNOHANG)[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGSEGV])
def test_a_trainer_ended_from_outside_loses_no_step(home, number):
    process = home.start("run", "trainer.py", "100000", "0.001", "close")
    card = home.running(50)
    home.go_on()
    os.kill(card.trainer.pid, number)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -number
    assert history(card.session).end.signal == number
    assert steps(card.session) == list(range(1, counted(home) + 1))


def test_what_overflows_while_the_monitor_is_dead_is_counted(home):
    process = home.start("run", "trainer.py", "6000", "0", "close", env={"RING": "65536"})
    card = home.running(50)
    os.kill(card.launcher.pid, signal.SIGSTOP)  # it would start a new monitor
    os.kill(card.monitor.pid, signal.SIGKILL)
    home.go_on()
    until(lambda: counted(home) == 6000)
    os.kill(card.launcher.pid, signal.SIGCONT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    seen, kept = history(card.session), steps(card.session)
    dropped = sum(event.data["dropped"] for event in seen.events if event.name == "overflow")
    assert dropped > 0
    assert len(kept) + dropped == 6000
    assert kept == sorted(set(kept))
    assert seen.commit.dropped == dropped


def test_a_job_killed_as_a_whole_loses_what_came_since_the_last_flush_and_no_more(home):
    process = home.start("run", "trainer.py", "5000", "0", "close")
    card = home.running(50)
    kill(card)
    process.communicate()
    assert counted(home) == 50
    assert steps(card.session) == list(range(1, 51))
    assert history(card.session).end is None
    until(lambda: home.cards()[0].state == "lost")


def test_a_job_that_is_stopped_for_a_while_goes_on(home):
    process = home.start("run", "trainer.py", "300", "0", "close")
    card = home.running(50)
    for one in (card.trainer, card.monitor, card.launcher):
        os.kill(one.pid, signal.SIGSTOP)
    home.go_on()
    time.sleep(1.2)  # longer than any interval of the monitor
    for one in (card.launcher, card.monitor, card.trainer):
        os.kill(one.pid, signal.SIGCONT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert steps(card.session) == list(range(1, 301))
    assert history(card.session).end.status == "finished"


@pytest.mark.parametrize("kept", [False, True], ids=["as without nnwatch", "with nohup"])
def test_a_terminal_that_hangs_up_on_a_headless_run(home, kept):
    words = [*NNWATCH, "run", "--headless", "trainer.py", "200", "0", "exit4"]
    pid, terminal = in_a_terminal(home, *(["nohup"] if kept else ["env", "--default-signal=HUP"]), *words)
    card = home.running(50)
    os.close(terminal)
    if kept:
        home.go_on()
    until(lambda: os.waitpid(pid, os.WNOHANG)[0])
    end = until(lambda: history(card.session).end)
    assert (end.exit, end.signal) == ((4, None) if kept else (None, signal.SIGHUP))
    assert steps(card.session) == list(range(1, counted(home) + 1))


CLOCK = """
import os, time
_real, _path = time.time, os.environ["CLOCK"]
def _set():
    try:
        return _real() + float(open(_path).read() or 0)
    except OSError:
        return _real()
time.time = _set
"""


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_clock_that_jumps_loses_nothing_and_ends_nothing(home, jump):
    (home.folder / "clock").mkdir()
    home.script("clock/sitecustomize.py", CLOCK)
    env = {"CLOCK": str(home.folder / "now"), "PYTHONPATH": str(home.folder / "clock")}
    process = home.start("run", "trainer.py", "250", "0", "exit2", env=env)
    card = home.running(50)
    (home.folder / "now").write_text(str(jump))
    before = len(frames(card.session))
    until(lambda: len(frames(card.session)) > before + 3)  # it goes on writing
    home.go_on()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "Traceback" not in said
    assert steps(card.session) == list(range(1, 251))
    seen = history(card.session)
    assert seen.end.status == "failed"
    times = seen.main["loss.train"].times
    assert (abs(times[-1] - times[0] - jump) < 60).all()
    assert [event.name for event in seen.events if event.name in ("stalled", "overflow")] == []
    for metric in ("disk.read", "disk.write", "net.received"):  # bytes a second
        values = seen.system[metric].scalar
        assert not (values < 0).any()


@needs_tmpfs
def test_a_full_shared_memory_moves_the_rings_to_a_disk(home):
    words = " ".join(["mount -t tmpfs -o size=64k none /dev/shm;", 'exec "$@"'])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", words, "sh", *NNWATCH, "run", "trainer.py", "50", "0", "exit3"],
        cwd=home.folder, env=home.env, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 3
    assert steps(home.session()) == list(range(1, 51))


@needs_tmpfs
def test_what_waits_for_a_full_disk_is_bounded_and_written_when_there_is_room(home, monkeypatch):
    monkeypatch.setattr(recorder, "_MOST_PENDING", 1 << 20)
    small = home.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], check=True)
    try:
        me = Process.of(os.getpid())
        card = Card("id", "a", str(small / "a.nnw"), ["x"], "/", 0.0, launcher=me, trainer=me)
        recorded = Recorder(home.folder, card, lambda frame, again: None)
        assert recorded.write(1.0, {}, 0)
        with (small / "ballast").open("wb", buffering=0) as file:
            fill(file.fileno())
        taken = 0
        while not recorded.stalled:  # the rings are then left to fill and to count what they drop
            recorded.take(Block(9, 0, 0, 512, bytes(4096), bytes(4096), bytes(2048)))
            taken += 1
            if taken % 128 == 0:
                assert not recorded.write(2.0, {}, 0)
        assert taken * 2048 <= (1 << 20) + 2048
        (small / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=32m", small], check=True)
        assert recorded.write(3.0, {}, 0)
        assert not recorded.stalled
        assert sum(isinstance(frame, Block) for frame in frames(small / "a.nnw")) == taken
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_the_job_folder_may_be_deleted_under_a_killed_monitor_too(home):
    process = home.start("run", "trainer.py", "150", "0", "exit5")
    card = home.running(50)
    shutil.rmtree(home.job(card))
    os.kill(card.monitor.pid, signal.SIGKILL)
    home.go_on()
    out, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "trained" in out) == (5, True)
    assert "Traceback" not in said
    kept = steps(card.session)  # nobody can watch it any more; what was flushed is whole
    assert kept == list(range(1, 51))
    for folder in Path("/dev/shm").glob(f"nnwatch-rings-*/{card.id}"):
        shutil.rmtree(folder)
