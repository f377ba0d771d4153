"""A run of one machine seen from another that shares nothing but folders; tasks of one Slurm step on a node.

The other machine is a process, network, host-name and mount namespace of its own: no process of it can be seen from
here, no socket reached, and its shared memory and sockets' folder are other ones. The sessions and the home are shared.
"""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nnwatch import follow
from nnwatch.cli import main
from nnwatch.frame import Segment

from .doors import NNWATCH, PATIENCE, frames, history, steps, until
from .hosts import machine, needs_machines


@pytest.fixture
def node(home, monkeypatch):
    """Starts commands on a machine of its own, which is switched off at the end."""
    needs_machines()
    for name in ("XDG_STATE_HOME", "NNWATCH_HOME"):
        monkeypatch.setenv(name, home.env[name])
    started = []

    def start(*words, **env):
        command = machine("node7", *NNWATCH, *words)
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=home.folder, env=home.env | env, text=True, **pipes)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()  # with it goes all that runs there, as when Slurm ends a job
        process.communicate()


def recorded(home, count):
    """The session, once it has so many steps."""

    def look():
        found = list((home.folder / "sessions").glob("*.nnw"))
        return found[0] if found and history(found[0]).last_step >= count else None

    return until(look)


def test_a_run_of_another_machine_is_listed_followed_and_waited_for_by_its_file_alone(home, node, capsys):
    home.gate(41)
    there = node("run", "--name", "far", "trainer.py", "80", "0", "exit7")
    recorded(home, 40)
    assert main(["ls"]) == 0
    line = until(lambda: (main(["ls"]), capsys.readouterr().out)[1].splitlines()[-1])
    assert "elsewhere" in line
    assert "on node7, " in line
    viewer, waiting = home.start("attach", "far"), home.start("wait", "far")
    assert viewer.stdout.readline().startswith("far on node7: ")
    said = ""
    while "via shared file, " not in said:
        said = viewer.stdout.readline()
        assert said
    assert " s behind)" in said
    home.go_on()
    out, _ = viewer.communicate(timeout=PATIENCE)
    assert "failed with exit code 7, step 80" in out
    assert waiting.wait(PATIENCE) == 7
    waiting.communicate()
    assert there.wait(PATIENCE) == 7
    assert main(["wait", "far"]) == 7
    capsys.readouterr()
    assert main(["ls"]) == 0
    assert "failed" in capsys.readouterr().out


def test_a_job_that_is_ended_as_a_whole_over_there_has_what_was_written(home, node, monkeypatch, capsys):
    home.gate(41)
    there = node("run", "--name", "far", "trainer.py", "80", "0", "close")
    session = recorded(home, 40)
    there.kill()
    there.communicate()
    assert steps(session) == list(range(1, 41))
    assert history(session).end is None
    assert main(["ls"]) == 0
    assert "elsewhere" in capsys.readouterr().out  # it cannot be known from here
    monkeypatch.setattr(follow, "_SILENT", 0.5)
    assert main(["wait", "far"]) == 2
    assert "far is lost, its exit status is not known: nothing was added to" in capsys.readouterr().err
    assert main(["report", "far"]) == 0
    assert "step 40" in capsys.readouterr().out


def test_another_machine_leaves_the_job_of_this_one_alone(home, node):
    """They share the registry of jobs; neither prunes what the other runs."""
    home.gate(41)
    process = home.start("run", "--name", "here", "trainer.py", "80", "0", "close")
    card = home.running(40)
    there = node("run", "--name", "there", "trainer.py", "5", "0", "close", GATE="0:")
    assert there.wait(PATIENCE) == 0
    home.go_on()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert steps(card.session) == list(range(1, 81))


TASK = """
import os, sys
os.execv(sys.executable, [sys.executable, "trainer.py", *os.environ["TASK"].split()])
"""


def step(home, *tasks):
    """The tasks of one Slurm step on this node: launchers of one command, which tells by its environment what to do."""
    home.script("task.py", TASK)
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_ID": "0", "SLURM_NTASKS": str(len(tasks))}
    return [
        home.start("run", "--name", "step", "task.py", env=slurm | {"RANK": str(rank), "TASK": task})
        for rank, task in enumerate(tasks)
    ]


def ranks(home):
    """Of the newest run, as far as it is recorded."""
    cards = home.cards()
    there = bool(cards) and Path(cards[-1].session).exists()
    return {rank: track.last_step for (_, rank), track in history(cards[-1].session).tracks.items()} if there else {}


def test_the_launchers_of_a_step_share_one_monitor_and_keep_their_own_ends(home):
    home.gate(31)
    tasks = step(home, "60 0 close", "60 0 close", "60 0 close")
    until(lambda: ranks(home) == {0: 30, 1: 30, 2: 30})
    [card] = home.cards()
    led = [Path(f"/proc/{task.pid}").exists() and task.pid == card.launcher.pid for task in tasks]
    assert sum(led) == 1
    tasks[led.index(False)].send_signal(signal.SIGTERM)  # its own launcher passes it on
    until(lambda: tasks[led.index(False)].poll() is not None)
    home.go_on()
    for task in tasks:
        task.communicate(timeout=PATIENCE)
    codes = [0, 0, 0]
    codes[led.index(False)] = -signal.SIGTERM
    assert [task.returncode for task in tasks] == codes
    seen = history(card.session)
    assert sorted(seen.tracks) == [(0, 0), (0, 1), (0, 2)]
    for rank in range(3):
        last = 30 if codes[rank] else 60
        assert list(seen.tracks[0, rank]["loss.train"].steps) == list(range(1, last + 1))
    assert sum(isinstance(frame, Segment) for frame in frames(card.session)) == 3
    assert len(home.cards()) == 1


def test_the_next_command_of_a_step_is_another_run(home):
    for _ in range(2):
        for task in step(home, "5 0 close", "5 0 close"):
            task.communicate(timeout=PATIENCE)
            assert task.returncode == 0
    sessions = list((home.folder / "sessions").glob("*.nnw"))
    assert len(sessions) >= 2
    assert all(history(session).last_step == 5 for session in sessions)


def test_a_step_of_one_task_and_tasks_of_different_steps_share_nothing(home):
    started = []
    for number, tasks in (("0", "1"), ("1", "2"), ("2", "2")):
        slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": number, "SLURM_NTASKS": tasks}
        started.append(home.start("run", "trainer.py", "20", "0", "close", env=slurm))
    for process in started:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert len(home.cards()) == 3
