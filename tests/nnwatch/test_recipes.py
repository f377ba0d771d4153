"""What the recipes tell people to type is understood: every nnwatch command of the page goes through the parsers."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

import nnwatch
from nnwatch import command, dial, notify, slurm
from nnwatch.cli import _parser

PAGE = (Path(nnwatch.__file__).parent / "RECIPES.md").read_text()
WRAPPED = ("srun", "ssh", "tmux", "nohup", "kubectl", "bash")


def commands():
    """The words after ``nnwatch`` of each command on the page, what it was wrapped in taken off."""
    shells = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    lines = [line for shell in shells for line in shell.splitlines()] + re.findall(r"`(srun [^`]*)`", PAGE)
    for line in lines:
        words = shlex.split(line, comments=True)
        if words and words[0] in WRAPPED:
            inner = next((word for word in words if word.startswith("nnwatch ")), "")
            words = shlex.split(inner) or words[words.index("nnwatch") if "nnwatch" in words else len(words) :]
        if words[:1] == ["nnwatch"]:
            yield [*itertools.takewhile(lambda word: not re.match("2?>|&", word), words[1:])]


def test_every_command_of_the_page_is_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notify, "check", lambda address: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setenv("NNWATCH_TOKEN", "the-token-of-this-test")
    (tmp_path / "train.py").touch()
    seen = list(commands())
    for words in seen:
        if words[0] == "run":
            asked = command.request(words[1:])
            assert asked.command[-1] == "train.py"
        else:
            options = _parser().parse_args(words)
            if "://" in (getattr(options, "run", "") or ""):
                assert dial.far(options.run, options.remote) is not None
    assert len(seen) >= 15
    assert {words[0] for words in seen} == {"run", "attach", "ls", "wait", "report", "replay", "compare", "stacks"}


@pytest.mark.parametrize("tasks", ["", "1"])
def test_outside_of_a_step_nothing_is_shared(monkeypatch, tmp_path, tasks):
    monkeypatch.setenv("SLURM_NTASKS", tasks)
    assert slurm.join(["x"], lambda: tmp_path) == (tmp_path, True)
