"""The real program in a real terminal: tmux types the keys and tells what is on the screen."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time

import pytest

from tests.nnwatch.doors import NNWATCH, PATIENCE

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


class Terminal:
    """One command in a tmux server of its own."""

    def __init__(self, folder, *words, size=(100, 30), **env):
        self.socket, self.width = str(folder / "tmux"), size[0]
        given = {"NNWATCH_HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "LC_ALL": "C.UTF-8"} | env
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in given.items())
        command = f"env -u COLUMNS -u LINES {settings} {shlex.join([*NNWATCH, *words])}; echo left with $?; sleep 60"
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), command)

    def _tmux(self, *words):
        done = subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, *keys):
        self._tmux("send-keys", *keys)

    def resize(self, width, height):
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, *options):
        return self._tmux("capture-pane", "-p", *options)

    def shows(self, *words):
        """The screen, once all the words are on it."""
        deadline = time.monotonic() + PATIENCE
        while not all(word in (shown := self.screen()) for word in words):
            assert time.monotonic() < deadline, f"{words} never came:\n{shown}"
            time.sleep(0.1)
        return shown

    def opened(self):
        """Itself at the end of the recording, once the screen is there."""
        self.shows("step", "Screens" if self.width >= 60 else "learning rate")
        self.press("End")
        return self

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)


def hues(painted):
    """The colours of some cells that are no grey: of sixteen, of 256 or of all."""
    found = set()
    for code in re.findall(r"\x1b\[([\d;]+)m", painted):
        for index in re.findall(r"[34]8;5;(\d+)", code):
            if int(index) not in {0, 7, 8, 15, 16, 59, 102, 145, 188, *range(231, 256)}:
                found.add(index)
        found |= {rgb for rgb in re.findall(r"[34]8;2;(\d+;\d+;\d+)", code) if len(set(rgb.split(";"))) > 1}
        rest = re.sub(r"[34]8;(5;\d+|2;\d+;\d+;\d+)", "", code)
        found |= set(re.findall(r"\b(?:[34]|9|10)[1-6]\b", rest))
    return found


@pytest.fixture
def terminal(tmp_path):
    """Starts commands in terminals that are gone afterwards."""
    started = []

    def start(*words, **options):
        started.append(Terminal(tmp_path, *words, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_person_replays_looks_around_and_leaves(terminal):
    screen = terminal("demo").opened()
    screen.shows("learning rate too high", "lr 0.3", "digits.py", "1 overview")
    screen.press("4")
    screen.shows("Why we believe it", "Do this")
    screen.press("2")
    screen.shows("weight", "2 layers")
    screen.press("1", "@")
    screen.shows("go to step")
    screen.press("40", "Enter")
    screen.shows("step 40")
    screen.press("?")
    screen.shows("Linear, log or symlog axis")
    screen.press("Escape")
    screen.shows("accuracy", "progress")
    screen.press("q")
    screen.shows("left with 0")


@pytest.mark.parametrize("size", [(45, 20), (80, 24), (140, 40)])
def test_it_fits_the_terminal_and_follows_its_size(terminal, size):
    screen = terminal("demo", size=size).opened()
    shown = screen.shows("learning rate", "q")
    assert max(map(len, shown.splitlines())) <= size[0]
    screen.resize(36, 10)
    screen.shows("nnwatch needs 40×12, this is 36×10")
    screen.resize(90, 26)
    screen.shows("learning rate too high", "progress")
    screen.press("q")
    screen.shows("left with 0")


@pytest.mark.parametrize(
    ("env", "colours"),
    [({"NO_COLOR": "1"}, False), ({"TERM": "screen"}, True), ({"TERM": "xterm-256color", "COLORTERM": ""}, True)],
    ids=["none", "16", "256"],
)
def test_nothing_is_said_by_colour_alone(terminal, env, colours):
    screen = terminal("demo", **env).opened()
    screen.shows("✗ ERROR learning rate too high")
    assert bool(hues(screen.screen("-e"))) is colours


@pytest.mark.parametrize(("words", "env"), [(["demo"], {"TERM": "linux"}), (["demo", "--ascii"], {})])
def test_ascii_alone_where_a_terminal_has_no_more_or_it_is_asked_for(terminal, words, env):
    screen = terminal(*words, **env).opened()
    assert screen.shows("ERROR learning rate too high").isascii()
