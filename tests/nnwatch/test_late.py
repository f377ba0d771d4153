"""`nnwatch attach --pid`: what is said where it cannot be, a real Python 3.14 that is asked, and what joins then."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from nnwatch import __file__ as package
from nnwatch import inside, late
from nnwatch import job as jobs
from nnwatch.advisor.context import Context
from nnwatch.advisor.finding import Abstain
from nnwatch.card import Card
from nnwatch.cli import main
from nnwatch.process import Process

from ..warm import warm
from .doors import history, until

ROOT = os.path.dirname(os.path.dirname(package))
SLEEPS = "import time\nprint('up', flush=True)\nwhile True: time.sleep(0.01)"
TRAIN = """
import signal, sys, time, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
heard = []
def asked(*_):
    heard.append(1)
    exec(open(sys.argv[1]).read(), {})
signal.signal(signal.SIGUSR1, asked)
torch.manual_seed(0)
x, y = torch.randn(64, 5), torch.randint(0, 3, (64,))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
    def forward(self, x):
        if sys.argv[2] == "forward" and n == 30:
            asked()
        return self.b(self.a(x).relu())
model = Net()
optimizer = getattr(torch.optim, sys.argv[3])(model.parameters(), lr=0.01)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
losses, n = {}, 0
loader = DataLoader(TensorDataset(x, y), 16, shuffle=True)
for epoch in range(40):
    for a, b in loader:
        n += 1
        if sys.argv[2] == "signal" and n == 5:
            print("up", flush=True)
        while sys.argv[2] == "signal" and n == 100 and not heard:
            time.sleep(0.001)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(a), b)
        if sys.argv[2] == "loss" and n == 30:
            asked()
        loss.backward()
        if sys.argv[2] == "backward" and n == 30:
            asked()
        optimizer.step()
        if sys.argv[2] == "step" and n == 30:
            asked()
        schedule.step()
        losses[n] = loss.item()
print(__import__("json").dumps([losses, [p.sum().item() for p in model.parameters()]]))
"""
NEWEST = shutil.which("python3.14") or shutil.which("python3.15") or ""


@pytest.fixture
def process():
    """Start a process that says it is up and then sleeps; gone afterwards."""
    started = []

    def start(*words):
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        stdout = started[-1].stdout
        assert stdout is not None
        assert stdout.readline() == "up\n"
        return started[-1].pid

    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.fixture
def place(home, monkeypatch):
    for name in ("XDG_STATE_HOME", "NNWATCH_HOME"):
        monkeypatch.setenv(name, home.env[name])
    monkeypatch.chdir(home.folder)
    return home


def refused(capsys, pid) -> str:
    """The one line that is said."""
    assert main(["attach", "--pid", str(pid)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nnwatch: ")
    assert err.count("\n") == 1
    return str(err)


def test_a_process_that_is_not_there(place, capsys):
    assert "there is no process 4194304" in refused(capsys, 4194304)


def test_a_word_that_is_no_process(place, capsys):
    assert "invalid int value" in refused(capsys, "train")


def test_what_is_no_python(place, process, capsys):
    pid = process("sh", "-c", "echo up; while :; do sleep 0.1; done")
    assert f"process {pid} is no Python: it runs /" in refused(capsys, pid)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_a_process_of_another_user(place, capsys):
    other = subprocess.Popen(["sleep", "60"], user=1)
    try:
        assert f"belongs to {pwd.getpwuid(1).pw_name}; only they can attach to it" in refused(capsys, other.pid)
    finally:
        other.kill()
        other.wait()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this one can be asked")
def test_an_older_python_is_told_what_to_do(place, process, capsys):
    pid = process(sys.executable, "-c", SLEEPS)
    line = refused(capsys, pid)
    assert f"runs Python {sys.version_info[0]}.{sys.version_info[1]}, and only from 3.14 on" in line
    assert "add `import nnwatch; nnwatch.watch()` to the script, or start it with `nnwatch run" in line
    assert place.cards() == []


@pytest.mark.skipif(not NEWEST, reason="no Python 3.14 here")
@pytest.mark.parametrize(("options", "says"), [((), "it has not imported torch (yet)"),
                                               (("-X", "disable-remote-debug"), "cannot be asked")])  # fmt: skip
def test_a_real_process_is_asked_and_answers(place, process, options, says):
    """There need not be a torch for it: what the process answers shows that it ran what it was sent."""
    pid = process(NEWEST, *options, "-c", SLEEPS)
    ask = f"import sys; sys.path.insert(0, {ROOT!r}); from nnwatch import late; late.attach({pid})"
    done = subprocess.run([NEWEST, "-c", ask], capture_output=True, text=True, env=place.env, check=False)
    assert says in done.stderr.splitlines()[-1]
    assert os.path.exists(f"/proc/{pid}")
    assert place.cards() == []


def test_a_run_that_is_watched_already_is_shown(place):
    place.gate(3)
    run = place.start("run", "--headless", "trainer.py", "5", "0", "close")
    card = place.running()
    assert late.attach(card.trainer.pid).id == card.id
    place.go_on()
    run.communicate()


def asked(place, where: str, optimizer: str):
    """A training that runs what it was sent at its 30th step, and what was recorded of it from then on."""
    job = jobs.prepare(["own.py"], python=sys.executable, late=True)
    place.script("own.py", TRAIN)
    words = [str(job / "boot" / "join.py"), where, optimizer]
    target = Process.of(warm().start(place.folder / "own.py", words, place.folder, place.env))
    card = Card.load(job / "job.json")
    card.launcher = card.trainer = target
    card.save(job / "job.json")
    _, hello = late.invitation(job, target)
    if where == "signal":
        said = place.folder / "stdout"
        until(lambda: said.exists() and said.read_text() == "up\n")
        os.kill(target.pid, signal.SIGUSR1)
    answer = late._answer(hello, target)
    inside.start_monitor(job)
    assert warm().wait() == 0
    assert answer is not None
    assert answer["error"] is None
    until(lambda: Card.load(job / "job.json").end)
    return printed(place), history(card.session)


def printed(place):
    return json.loads((place.folder / "stdout").read_text().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("where", "before"), [("loss", 30), ("backward", 30), ("step", 31)])
def test_it_joins_in_the_middle_of_a_step_and_records_whole_ones(place, where, before):
    (losses, _), seen = asked(place, where, "Adam")
    [track] = seen.tracks.values()
    assert (track.segment.reason, track.segment.first_step, track.last_step) == ("resume", before, 160)
    series = track["loss.train"]
    assert series.steps.tolist() == list(range(before + 1, 161))
    np.testing.assert_allclose(series.scalar, [losses[str(step)] for step in series.steps], rtol=1e-5)
    assert track["update.ratio"].names() == ["a.weight", "a.bias", "b.weight", "b.bias"]
    facts = seen.facts_of(track)
    assert facts["attached"] is True
    assert facts["optimizers"][0]["class"] == "Adam"
    assert facts["scheduler"][0]["class"] == "CosineAnnealingLR"
    assert not [event.data for event in seen.events if event.name in ("probe.failed", "nonfinite")]
    assert [f"{f.rule}: {f.what}" for f in seen.findings.values() if f.severity in ("warn", "error", "fatal")] == []
    [notice] = [event.data["text"] for event in seen.events if event.name == "notice"]
    assert notice.startswith("it was under way when nnwatch came: not known are the first loss")
    with pytest.raises(Abstain, match="it was under way when nnwatch came"):
        Context(seen, track, 160).loss_key()


@pytest.mark.slow
def test_it_joins_wherever_it_is(place):
    (losses, _), seen = asked(place, "signal", "SGD")
    [track] = seen.tracks.values()
    recorded = track["loss.train"].scalar
    assert len(recorded) > 20
    np.testing.assert_allclose(recorded, list(losses.values())[-len(recorded) :], rtol=1e-5)


@pytest.mark.slow
def test_what_was_asked_changes_no_bit(place):
    told, _ = asked(place, "loss", "SGD")
    warm().start(place.folder / "own.py", ["nothing", "never", "SGD"], place.folder, place.env)
    assert warm().wait() == 0
    assert printed(place) == told
