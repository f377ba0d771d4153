"""nnwatch.watch(): processes that have themselves watched, a Jupyter kernel among them."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from nnwatch import __file__ as package
from nnwatch.card import Card

from ..warm import warm
from .doors import PATIENCE, gone, history, until

TRAIN = """
import sys
import torch
from torch import nn
torch.manual_seed(0)
x, y = torch.randn(64, 5), torch.randint(0, 3, (64,))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)
    def forward(self, x):
        return self.b(self.a(x).relu())
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""
STEPS = """
losses = []
for step in range(12):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    nnwatch.log(double=2 * loss)
"""


@pytest.fixture
def python(home):
    """Run a script in the home by its own interpreter, without a launcher; give back the process when it ended."""
    home.env["PYTHONPATH"] = os.path.dirname(os.path.dirname(package))

    def run(text):
        words = [sys.executable, home.script("own.py", text)]
        return subprocess.run(
            words, cwd=home.folder, env=home.env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    return run


@pytest.fixture
def later(home, python):
    """The same, where torch has been imported already."""

    def run(text, **options):
        warm().start(home.script("own.py", text), [], home.folder, home.env | options)
        code = warm().wait()
        out, err = ((home.folder / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess([], code, out, err)

    return run


def ended(home) -> Card:
    """The only run, once its session is complete."""
    until(lambda: [card for card in home.cards() if card.end is not None])
    card: Card
    [card] = home.cards()
    return card


def test_a_model_that_was_there_before(home, later):
    done = later(TRAIN + "import nnwatch\nnnwatch.watch()\nnnwatch.watch(model)\n" + STEPS + "print(losses)")
    assert done.returncode == 0, done.stderr
    [said] = done.stderr.splitlines()
    card = ended(home)
    assert said == f"nnwatch: watched from now on; see it with: {card.attach}"
    assert (card.state, card.name.startswith("own-")) == ("finished", True)
    seen = history(card.session)
    np.testing.assert_allclose(seen.main["loss.train"].scalar, eval(done.stdout), rtol=1e-5)
    np.testing.assert_allclose(seen.main["user.double"].scalar, 2 * np.array(eval(done.stdout)), rtol=1e-5)
    assert seen.main["update.ratio"].names() == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert seen.facts_of(seen.main)["optimizers"][0]["lr"] == [0.1]
    assert not home.job(card).joinpath("boot").exists()


def test_an_exception_fails_the_run_and_a_kill_is_seen(home, python, later):
    done = python("import nnwatch\nnnwatch.watch()\n" + TRAIN + STEPS + "raise ValueError('planted')")
    assert done.returncode == 1
    card = ended(home)
    assert card.state == "failed"
    assert [event.data["message"] for event in history(card.session).events if event.name == "exception"] == ["planted"]
    later("import nnwatch, os\nnnwatch.watch()\n" + TRAIN + STEPS + "os.kill(os.getpid(), 9)")
    until(lambda: len(home.cards()) == 2 and home.cards()[1].end is not None)
    card = home.cards()[1]
    assert card.state == "killed"
    seen = history(card.session)
    assert (seen.end.signal, seen.main.last_step) == (signal.SIGKILL, 12)


def test_a_training_that_says_its_end_is_not_told_as_killed_afterwards(home, later):
    later(
        "import nnwatch, os\nnnwatch.end()\nnnwatch.watch()\n"
        + TRAIN
        + STEPS
        + "nnwatch.end()\nos.kill(os.getpid(), 9)"
    )
    card = ended(home)
    seen = history(card.session)
    assert (card.state, seen.end.exit, seen.end.signal, seen.main.last_step) == ("finished", 0, None, 12)


def test_it_does_nothing_where_it_should_not(home, later):
    script = (
        TRAIN + "import nnwatch\nnnwatch.watch()\n" + STEPS + "print(sorted(n for n in sys.modules if 'nnwatch' in n))"
    )
    for options in ({"NNWATCH_DISABLE": "1"}, {"LOCAL_RANK": "1"}):
        done = later(script, **options)
        assert (done.returncode, done.stderr) == (0, "")
        assert "nnwatch.probes" not in done.stdout
    assert home.cards() == []
    done = home.nnwatch("run", "own.py")
    assert done.returncode == 0, done.stderr
    assert len(home.cards()) == 1
    assert list(history(home.session()).main["loss.train"].steps) == list(range(1, 13))


def test_where_it_cannot_watch_it_says_so_and_the_script_goes_on(home, later):
    hidden = "import sys\nsys.modules['msgspec'] = None\nimport importlib.util as u\nfind = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *a: None if name == 'msgspec' else find(name, *a)\n"
    done = later(hidden + TRAIN + "import nnwatch\nnnwatch.watch()\n" + STEPS + "print(step)")
    assert (done.returncode, done.stdout) == (0, "11\n")
    [line] = done.stderr.splitlines()
    assert line.startswith("nnwatch: msgspec not installed here")
    assert home.cards() == []


def test_a_dead_monitor_is_started_again(home, python):
    again = """
import time, json, os
from pathlib import Path
[path] = Path(os.environ["XDG_STATE_HOME"]).glob("nnwatch/jobs/*/job.json")
def monitor():
    while True:
        found = json.loads(path.read_text())["monitor"]
        if found: return found["pid"]
        time.sleep(0.02)
first = monitor()
os.kill(first, 9)
while os.path.exists(f"/proc/{first}"): time.sleep(0.02)
nnwatch.watch()
while monitor() == first: time.sleep(0.02)
"""
    done = python("import nnwatch\nnnwatch.watch()\n" + TRAIN + STEPS + again + STEPS)
    assert done.returncode == 0, done.stderr
    assert list(history(ended(home).session).main["loss.train"].steps) == list(range(1, 25))


def test_children_join_their_parent(home, later):
    script = (
        TRAIN
        + """
import multiprocessing, nnwatch
nnwatch.watch()
def work():
    nnwatch.watch()
    exec(STEPS)
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
    print(child.exitcode)
"""
    )
    done = later(f"STEPS = {STEPS!r}\n" + script)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert len(done.stderr.splitlines()) == 1
    card = ended(home)
    assert list(history(card.session).main["loss.train"].steps) == list(range(1, 13))


class Kernel:
    def __init__(self, home) -> None:
        self.manager = KernelManager(kernel_name="python3")
        own = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager._kernel_spec = KernelSpec(argv=own, display_name="own", language="python")
        self.manager.start_kernel(cwd=str(home.folder), env=home.env | {"IPYTHONDIR": str(home.folder / "ipython")})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)
        self.said = ""

    def cell(self, text: str) -> str:
        """What it printed."""
        printed = []

        def hear(message) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(text, timeout=PATIENCE, output_hook=hear)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)


@pytest.fixture
def kernel(home, python):
    running = Kernel(home)
    yield running
    running.client.stop_channels()
    if running.manager.is_alive():
        running.manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_a_notebook_whose_training_cell_is_run_again(home, kernel):
    said = kernel.cell("import nnwatch\nnnwatch.watch()")
    card = home.cards()[0]
    assert said == f"nnwatch: watched from now on; see it with: {card.attach}\n"
    assert kernel.cell("nnwatch.watch()") == ""
    kernel.cell(TRAIN)
    first = eval(kernel.cell(STEPS + "print(losses)"))
    second = eval(kernel.cell(STEPS + "print(losses)"))
    kernel.cell("1 + 1")
    third = eval(kernel.cell(TRAIN + STEPS + "print(losses)"))
    assert kernel.cell("raise_later = 1") == ""
    kernel.manager.shutdown_kernel()
    seen = history(ended(home).session)
    assert sorted(seen.tracks) == [(0, 0), (1, 0), (2, 0)]
    for (number, losses), start in zip(enumerate((first, second, third)), (0, 12, 0), strict=True):
        track = seen.tracks[number, 0]
        assert list(track["loss.train"].steps) == list(range(start + 1, start + 13))
        np.testing.assert_allclose(track["loss.train"].scalar, losses, rtol=1e-5)
        assert seen.facts_of(track)["planned_steps"] == start + 12
        assert track["update.ratio"].names() == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert card.name.startswith("notebook-")
    assert home.cards()[0].state == "finished"


@pytest.mark.slow
def test_a_killed_kernel_is_seen_as_killed(home, kernel):
    kernel.cell(TRAIN + "import nnwatch\nnnwatch.watch()\n" + STEPS)
    pid = int(kernel.cell("import os; print(os.getpid())"))
    os.kill(pid, signal.SIGKILL)
    card = ended(home)
    assert card.state == "killed"
    assert history(card.session).main.last_step == 12
    assert gone(pid)
