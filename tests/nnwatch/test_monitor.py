"""The monitor: whatever dies or fills up, the training goes on and the session has every step once."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nnwatch.card import Card, card_path
from nnwatch.frame import Commit, End, Run

from .doors import PATIENCE, fill, frames, history, needs_tmpfs, steps, until


def test_a_killed_monitor_is_started_again_without_gap_or_duplicate(home):
    home.gate(201)
    process = home.start("run", "trainer.py", "400", "0.005", "close")
    for wanted in (20, 150):
        card = home.running(wanted)
        os.kill(card.monitor.pid, signal.SIGKILL)
        until(lambda card=card: home.cards()[0].monitor != card.monitor)
    home.go_on()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert steps(card.session) == list(range(1, 401))
    seen = frames(card.session)
    assert isinstance(seen[0], Run)
    assert sum(isinstance(frame, Run) for frame in seen) == 1
    assert sum(isinstance(frame, End) for frame in seen) == 1
    assert history(card.session).end.status == "finished"


def test_the_ring_holds_what_comes_while_there_is_no_monitor(home):
    home.gate(51)
    process = home.start("run", "trainer.py", "200", "0", "close")
    card = home.running(50)
    os.kill(card.monitor.pid, signal.SIGSTOP)
    home.go_on()
    assert process.stdout.readline() == "trained\n"  # the training ends while the monitor stands still
    os.kill(card.monitor.pid, signal.SIGCONT)
    process.communicate(timeout=PATIENCE)
    assert steps(card.session) == list(range(1, 201))


def test_an_overflow_is_counted_and_told(home):
    home.gate(51)
    process = home.start("run", "trainer.py", "20000", "0", "close", env={"RING": "65536"})
    card = home.running(50)
    os.kill(card.monitor.pid, signal.SIGSTOP)
    home.go_on()
    assert process.stdout.readline() == "trained\n"
    os.kill(card.monitor.pid, signal.SIGCONT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    seen = history(home.session())
    dropped = sum(event.data["dropped"] for event in seen.events if event.name == "overflow")
    assert dropped > 0
    assert len(seen.main["loss.train"]) + dropped == 20000
    assert seen.commit.dropped == dropped


def test_ranks_of_one_launch_meet_in_one_segment_and_a_restart_opens_another(home):
    home.script(
        "launch.py",
        "import os, subprocess, sys\n"
        "for time in range(2):\n"
        "    ranks = [subprocess.Popen([sys.executable, 'trainer.py', '30', '0', 'close'],\n"
        "             env=os.environ | {'RANK': str(rank)}) for rank in range(3)]\n"
        "    [rank.wait() for rank in ranks]\n",
    )
    assert home.nnwatch("run", "launch.py").returncode == 0
    seen = history(home.session())
    assert sorted(seen.tracks) == [(segment, rank) for segment in (0, 1) for rank in (0, 1, 2)]
    for track in seen.tracks.values():
        assert list(track["loss.train"].steps) == list(range(1, 31))
    assert seen.facts[0, 2] == {"planned_steps": 30}


def test_the_machine_is_sampled_and_a_missing_gpu_has_its_reason(home):
    home.gate(21)
    process = home.start("run", "trainer.py", "30", "0", "close")
    card = home.running(20)
    until(lambda: "memory.rss" in history(card.session).system)
    home.go_on()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    seen = history(card.session)
    assert 1e6 < seen.system["memory.rss"].scalar[0] < 1e9
    assert seen.system["host.memory.total"].scalar[-1] == pytest.approx(psutil.virtual_memory().total, rel=1e-6)
    fact = seen.facts[0, 0]["gpu"]
    assert fact == "no NVIDIA driver" or "gpu.percent" in seen.system


@needs_tmpfs
def test_a_full_disk_stops_the_recording_but_not_the_training(home):
    small = home.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True)
    try:
        ballast = small / "ballast"
        home.gate(51)
        process = home.start("run", "--session", "small/a.nnw", "trainer.py", "600", "0", "close")
        card = home.running(50)
        with ballast.open("wb", buffering=0) as file:
            fill(file.fileno())
        home.go_on()
        told = ""
        while "cannot be written (No space left on device)" not in told:
            told = process.stderr.readline()
            assert told
        ballast.unlink()
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "can be written again" in err
        assert steps(card.session) == list(range(1, 601))
        assert [e.data["seconds"] > 0 for e in history(card.session).events if e.name == "disk.full"] == [True]
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_a_folder_that_cannot_be_written_to_moves_the_session_and_says_so(home):
    home.script("file", "in the way")
    done = home.nnwatch("run", "--session", "file/a.nnw", "trainer.py", "20", "0", "exit7")
    assert done.returncode == 7
    assert done.stderr.count("cannot be written to") == 1
    card = home.cards()[0]
    assert Path(card.session).is_relative_to(home.folder / "state")
    assert steps(card.session) == list(range(1, 21))
    assert '"last_step": 20' in home.nnwatch("report", "--json").stdout


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["--", sys.executable, "-I", "-c", "import sys; sys.exit(9)"], "saw no torch import"),
        (["--", "sh", "-c", "exit 9"], "saw no torch import"),
    ],
)
def test_a_command_that_cannot_be_watched_is_told_of_once_and_keeps_its_exit_code(home, command, says):
    done = home.nnwatch("run", *command)
    assert done.returncode == 9
    assert done.stderr.count(says) == 1


def test_a_job_folder_that_goes_away_does_not_end_the_training(home):
    home.gate(51)
    process = home.start("run", "--fail-on", "info", "trainer.py", "150", "0", "exit5")
    card = home.running(50)
    shutil.rmtree(home.job(card).rename(home.folder / "gone"))  # at once: the monitor writes there now and then
    home.go_on()
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5
    assert "trained" in out
    assert "Traceback" not in err
    assert steps(card.session) == list(range(1, 151))
    end = history(card.session).end
    assert (end.status, "job folder was removed" in end.cause) == ("lost", True)
    assert not list(Path("/dev/shm").glob(f"nnwatch-rings-*/{card.id}"))


def test_a_finding_is_made_once_although_the_monitor_dies_after_it(home):
    home.gate(101)
    process = home.start("run", "trainer.py", "400", "0", "close", env={"NAN": "30"})
    card = until(lambda: (card := home.running(60)) and history(card.session).finding_log and card)
    os.kill(card.monitor.pid, signal.SIGKILL)
    home.go_on()
    _, err = process.communicate(timeout=PATIENCE)
    log = history(card.session).finding_log
    told = [(finding.id, finding.status, finding.severity, finding.last_step) for finding in log]
    assert told
    assert len(told) == len(set(told))
    [primary] = [finding for finding in history(card.session).findings.values() if finding.primary]
    assert err.count(f"FATAL {primary.rule}: ") == 1


def test_a_finding_starts_the_user_s_command_with_itself_on_standard_input(home):
    command = "cat > found.json; exit 1"
    done = home.nnwatch("run", "--on", "error", command, "--name", "mine", "trainer.py", "30", "0", "exit1")
    assert done.returncode == 1
    found = json.loads((home.folder / "found.json").read_text())
    assert (found["rule"], found["severity"], found["run"]) == ("crashed", "fatal", "mine")
    assert found["attach"] == "nnwatch attach mine"
    assert found["host"]
    assert done.stderr.count("failed with status 1") == 1


def test_the_card_beside_the_session_says_how_it_ended(home):
    home.nnwatch("run", "--name", "one", "trainer.py", "30", "0", "exit2")
    [card] = home.cards()
    assert Card.load(card_path(home.session())) == card
    assert card.end["status"] == "failed"
    assert (card.end["exit"], card.end["signal"], card.latest["step"]) == (2, None, 30)
    assert card.latest["finding"] == "crashed"
    commits = [frame for frame in frames(home.session()) if isinstance(frame, Commit)]
    assert commits[-1].cursors != {}
