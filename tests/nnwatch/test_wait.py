"""`nnwatch wait` returns when the run has ended, with the run's own status, and touches nothing."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from nnwatch import follow
from nnwatch.cli import main
from nnwatch.frame import Commit, End, Run, Segment
from nnwatch.session import Writer
from nnwatch.stall import waits

from .doors import ASLEEP, PATIENCE, Home, kill, steps, until

RUN = Run("far", "feedbeef", "other", ["x"], "python", "/", 10.0)


@pytest.fixture
def far(tmp_path):
    """The session of a run on another machine, as its shared folder shows it here."""
    card = {"id": RUN.id, "name": "far", "command": ["x"], "cwd": "/", "started": 10.0, "host": "other"}
    path = tmp_path / "far.nnw"
    (tmp_path / "far.run.json").write_text(json.dumps(card | {"session": "/not/here.nnw"}))
    writer = Writer(path)
    writer.append([RUN, Segment(0, 0, 1, 10.0)], Commit(11.0))
    yield path, writer
    writer.close()


@pytest.mark.parametrize(("end", "code"), [("close", 0), ("exit3", 3), ("SIGKILL", 137), ("SIGTERM", 143)])
def test_a_running_job_is_waited_for_and_its_status_is_ours(home: Home, end, code):
    home.gate(41)
    running = home.start("run", "--name", "mine", "trainer.py", "60", "0", end)
    card = home.running(40)
    assert card.state == "running"
    waiting = home.start("wait", "mine")
    until(lambda: waits(waiting.pid) == ASLEEP)
    home.go_on()
    assert (*waiting.communicate(timeout=PATIENCE), waiting.returncode) == ("", "", code)
    assert home.cards()[0].end is not None
    assert home.nnwatch("wait").returncode == code  # it has ended: told at once
    assert running.wait(PATIENCE) == (code if code < 128 else 128 - code)
    shutil.copy(card.session, home.folder / "alone.nnw")  # and from the recording without its card
    assert home.nnwatch("wait", "alone.nnw").returncode == code


def test_ctrl_c_leaves_the_waiting_and_nothing_else(home: Home):
    home.gate(51)
    running = home.start("run", "trainer.py", "150", "0", "exit4")
    home.running(50)
    waiting = home.start("wait")
    until(lambda: waits(waiting.pid) == ASLEEP)  # between two looks at the card
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, out, err) == (130, "", "")
    home.go_on()
    assert running.wait(PATIENCE) == 4
    assert steps(home.session()) == list(range(1, 151))


def test_a_run_elsewhere_is_followed_by_its_growing_file(home: Home, far):
    path, writer = far
    waiting = home.start("wait", str(path))
    for moment in (12.0, 13.0):
        writer.append([], Commit(moment))
        with pytest.raises(Exception, match="timed out"):
            waiting.wait(0.4)
    writer.append([End(14.0, "failed", 7)], Commit(14.0))
    assert waiting.wait(PATIENCE) == 7


def test_a_run_elsewhere_whose_file_does_not_grow_is_lost(far, monkeypatch, capsys):
    monkeypatch.setattr(follow, "_SILENT", 0.2)
    assert main(["wait", str(far[0])]) == 2
    err = capsys.readouterr().err
    assert "far is lost, its exit status is not known: nothing was added to" in err
    assert err.count("\n") == 1


def test_a_job_that_was_killed_as_a_whole_is_lost(home: Home):
    home.start("run", "--name", "gone", "trainer.py", "1000", "0.02", "close")
    card = home.running(5)
    kill(card)
    done = home.nnwatch("wait", "gone")
    assert done.returncode == 2
    assert "gone is lost, its exit status is not known" in done.stderr


def test_an_end_without_a_status_is_told_as_such(far, capsys):
    far[1].append([End(14.0, "lost", cause="the launcher was killed")], Commit(14.0))
    assert main(["wait", str(far[0])]) == 2
    assert "far is lost, its exit status is not known; see" in capsys.readouterr().err


def test_what_is_no_session_is_refused(tmp_path: Path, capsys):
    (tmp_path / "x.nnw").write_bytes(b"PK\x03\x04 something else")
    assert main(["wait", str(tmp_path / "x.nnw")]) == 2
    assert "not an nnwatch session" in capsys.readouterr().err
