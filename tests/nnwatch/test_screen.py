"""`nnwatch run` with a screen: the job outlives its terminal, and the terminal can leave it in three ways."""

import json
import os
import signal

import pytest

from nnwatch import job as jobs
from nnwatch import launch

from .doors import NNWATCH, history, steps, until
from .terminals import in_a_terminal, read_until

WORDS = ("run", "--name", "seen", "trainer.py", "220", "0", "exit4")


@pytest.fixture
def home(home):
    home.env |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    home.gate(101)
    return home


def start(home):
    pid, terminal = in_a_terminal(home, *NNWATCH, *WORDS)
    card = home.running(100)
    read_until(terminal, b"RUNNING")
    return pid, terminal, card


def test_detaching_leaves_it_running_and_attach_comes_back(home):
    pid, terminal, card = start(home)
    os.write(terminal, b"q")
    read_until(terminal, b"Leave it how?")
    os.write(terminal, b"d")
    assert b"nnwatch attach seen" in read_until(terminal, b"come back with: nnwatch attach seen")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    assert card.trainer.alive
    home.go_on()
    pid, terminal = in_a_terminal(home, *NNWATCH, "attach")
    read_until(terminal, b"FAILED")
    os.write(terminal, b"q")
    assert b"failed with exit code 4" in read_until(terminal, b"see it again: nnwatch replay seen")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    assert steps(card.session) == list(range(1, 221))
    assert "".join(text.text for text in history(card.session).console) == "trained\n"


def leave(pid, terminal, key, words):
    """The exit code after that answer, which ends with these words."""
    os.write(terminal, b"q")
    read_until(terminal, b"Leave it how?")
    os.write(terminal, key)
    read_until(terminal, words)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return code


def test_stopping_sends_one_interrupt_and_the_exit_code_tells(home):
    pid, terminal, card = start(home)
    assert leave(pid, terminal, b"s", b"was ended by SIGINT") == 128 + signal.SIGINT
    printed = "".join(text.text for text in history(card.session).console)
    assert printed.count("KeyboardInterrupt") == 1


def test_who_kills_it_from_the_screen_is_not_told_to_look_for_who_did(home):
    pid, terminal, card = start(home)
    assert leave(pid, terminal, b"k", b"was ended by SIGKILL (killed from the screen)") == 128 + signal.SIGKILL
    [finding] = [f for f in history(card.session).findings.values() if f.rule == "crashed"]
    assert (finding.severity, finding.title) == ("info", "stopped")


def test_a_terminal_that_goes_away_takes_nothing_along(home):
    pid, terminal, card = start(home)
    os.close(terminal)
    os.waitpid(pid, 0)
    home.go_on()
    until(lambda: (home.cards()[0].end or {}).get("exit") == 4)
    assert steps(card.session) == list(range(1, 221))


def test_a_script_that_asks_for_input_ends_at_once_and_is_told_what_to_use(home, monkeypatch):
    home.script("ask.py", "input('name? ')")
    for name, value in home.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home.folder)
    launch.detach(jobs.prepare([*NNWATCH[:1], "ask.py"], headless=False))
    card = until(lambda: next((card for card in home.cards() if card.end), None))
    assert card.end["exit"] == 1
    said = home.nnwatch("report").stdout
    assert "use `nnwatch run --headless`" in said
    assert "EOFError" in said


def test_a_terminal_that_cannot_carry_a_screen_gets_text(home):
    home.env["TERM"] = "dumb"
    pid, terminal = in_a_terminal(home, *NNWATCH, "run", "trainer.py", "5", "0", "close")
    assert b"trained" in read_until(terminal, b"finished")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    replayed = home.nnwatch("replay")
    assert replayed.returncode == 0
    assert "step 5  loss 0.2" in replayed.stdout
    assert json.loads(home.nnwatch("ls", "--json").stdout)[0]["status"] == "finished"


def test_a_screen_whose_terminal_is_gone_ends_although_hang_ups_are_ignored(home):
    pid, terminal = in_a_terminal(home, "env", "--ignore-signal=HUP", *NNWATCH, *WORDS)
    card = home.running(100)
    read_until(terminal, b"RUNNING")
    os.close(terminal)
    os.waitpid(pid, 0)
    assert card.trainer.alive
    home.go_on()
    assert until(lambda: history(card.session).end).exit == 4
