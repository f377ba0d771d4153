"""Real training under `nnwatch run`: torch in an environment of its own, torchrun, and a fault that is found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .doors import history

TRAIN = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 16)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(int(sys.argv[1])):
    optimizer.zero_grad()
    if len(sys.argv) > 2 and step == 50:
        x[3, 2] = float("nan")
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
assert not {"msgspec", "psutil", "textual", "scipy"} & set(sys.modules)
print(loss.item())
"""

RANKS = """
import os
import torch
import torch.distributed as dist
from torch import nn

dist.init_process_group("gloo")
model = nn.parallel.DistributedDataParallel(nn.Linear(4, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(20):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.zeros(8, dtype=torch.long)).backward()
    optimizer.step()
dist.destroy_process_group()
os._exit(0)  # at a full exit gloo's threads abort one run in eight on a busy machine, watched or not
"""


@pytest.fixture
def other(home):
    """A bare environment that has torch but not nnwatch; its python."""
    folder = home.folder / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = (folder / "lib").glob("python*/site-packages")
    # A .pth of one path: the .pth files in there, which make an editable nnwatch importable, are not read again.
    (packages / "torch.pth").write_text(str(Path(torch.__file__).parent.parent))
    python = folder / "bin" / "python"
    has = subprocess.run([python, "-c", "import nnwatch"], capture_output=True, cwd=home.folder).returncode == 0
    if has:
        pytest.skip("nnwatch lies in the same site-packages as torch, so no environment has the one alone")
    return str(python)


def test_nnwatch_in_one_environment_and_torch_in_another(home, other):
    home.script("train.py", TRAIN)
    home.env["VIRTUAL_ENV"] = str(Path(other).parent.parent)
    done = home.nnwatch("run", "train.py", "60")
    assert done.returncode == 0, done.stderr
    assert f"nnwatch: python {other}, the first with torch" in done.stderr
    seen = history(home.session())
    assert list(seen.main["loss.train"].steps) == list(range(1, 61))
    assert f"{float(done.stdout):.5f}" == f"{seen.main['loss.train'].scalar[-1]:.5f}"


def test_a_fault_is_found_while_it_trains_and_fails_the_run_on_request(home):
    home.script("train.py", TRAIN)
    done = home.nnwatch("run", "--fail-on", "error", "train.py", "120", "broken")
    assert done.returncode == 3, done.stderr
    report = json.loads(home.nnwatch("report", "--json").stdout)
    assert (report["run"]["status"], report["run"]["exit"]) == ("finished", 0)
    [primary] = [finding for finding in report["findings"] if finding["primary"]]
    assert primary["rule"].startswith("nan-")
    assert primary["first_step"] == 51
    assert f"FATAL {primary['rule']}" in done.stderr


def test_torch_without_training_is_told_of(home):
    home.script("idle.py", "import torch; print(torch.ones(2).sum().item())")
    done = home.nnwatch("run", "idle.py")
    assert (done.returncode, done.stdout) == (0, "2.0\n")
    assert done.stderr.count("no backward pass") == 1


@pytest.mark.slow
def test_every_rank_of_torchrun_is_in_the_session(home):
    home.script("ranks.py", RANKS)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = home.nnwatch("run", "--", *torchrun, "ranks.py")
    assert done.returncode == 0, done.stderr
    seen = history(home.session())
    assert sorted(seen.tracks) == [(0, 0), (0, 1)]
    for track in seen.tracks.values():
        assert list(track["loss.train"].steps) == list(range(1, 21))


BEFORE_TRAINING = {
    "a wrong shape": ("from torch import nn\nnn.Linear(4, 3)(torch.ones(2, 5))\n", "RuntimeError", "(2x5 and"),
    "a module that is not there": ("import no_such_module\n", "ModuleNotFoundError", "no_such_module"),
}


@pytest.mark.parametrize("case", BEFORE_TRAINING)
def test_an_exception_before_the_first_step_is_told_as_any_other(home, case):
    lines, kind, words = BEFORE_TRAINING[case]
    home.script("train.py", f"import torch\n{lines}")
    done = home.nnwatch("run", "train.py")
    assert done.returncode == 1
    report = json.loads(home.nnwatch("report", "--json").stdout)
    [finding] = report["findings"]
    line = 2 + lines.count("\n") - 1
    assert finding["rule"] == "crashed"
    assert finding["what"].startswith(f"{kind} at step 0, train.py:{line}: ")
    assert words in finding["what"]
    assert "no backward pass" not in done.stderr
    assert "checkpoint" not in done.stderr
