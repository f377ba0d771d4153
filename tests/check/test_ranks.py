"""Several ranks: the same last step for all, and nobody is left behind."""

import sys
import textwrap

import pytest

from nnwatch.check.plan import STEPS

from .trying import ENOUGH, Check

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
RANKS = """
import os, sys
import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

def main():
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(256, 8), torch.randint(0, 2, (256,)))
    model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler = DistributedSampler(data)
    for epoch in range(100000):
        sampler.set_epoch(epoch)
        for x, y in DataLoader(data, 16, sampler=sampler):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

if __name__ == "__main__":
    main()
"""
SPAWN = """
import torch.multiprocessing as mp

def rank(number, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(number), WORLD_SIZE="2")
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # the one of the process that spawned them
    main()

if __name__ == "__main__":
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    mp.spawn(rank, (store.port,), nprocs=2)
"""


def looked_at(found: Check) -> None:
    assert found.done.returncode in (0, 3), found.done.stderr
    trials = found.trials
    assert trials["overfit"]["loss_kind"] == "cross-entropy"
    assert trials["overfit"]["samples"] == 16
    assert trials["overfit"]["accuracy"] == 1.0
    history = found.history
    steps = {rank: track.last_step for (_, rank), track in history.tracks.items()}
    assert set(steps) == {0, 1}
    assert steps[0] == steps[1] == STEPS + 1  # the one before which all know that it is the last


@pytest.mark.parametrize("way", ["torchrun", "spawn"])
def test_all_ranks_end_with_the_same_step(home, way):
    script = RANKS
    if way == "spawn":
        script = RANKS.replace('\nif __name__ == "__main__":\n    main()\n', SPAWN)
    home.script("train.py", textwrap.dedent(script))
    start = ["train.py"] if way == "spawn" else ["--", *TORCHRUN, "train.py"]
    done = home.nnwatch("check", *ENOUGH, "--only", "overfit", *start)
    looked_at(Check(home, done))


def test_a_loss_by_hand_is_overfitted_by_all_ranks_together(home):
    """Each on its own batch, in the script's own loop: the step cannot be captured."""
    by_hand = "(model(x).logsumexp(1) - model(x).gather(1, y[:, None])[:, 0]).mean()"
    home.script("train.py", RANKS.replace("nn.functional.cross_entropy(model(x), y)", by_hand))
    words = ["--only", "overfit,twice,lr", "--", *TORCHRUN, "train.py"]
    found = Check(home, home.nnwatch("check", *words))
    assert found.done.returncode in (0, 3), found.done.stderr
    overfit = found.trials["overfit"]
    assert overfit["state"] == "done", overfit
    assert overfit["loss_kind"] == "other"
    assert overfit["samples"] == 16
    assert overfit["last"] < 0.2 * overfit["first"]
    assert [rung["steps"] for rung in overfit["rungs"]] == [200, 200, 200]  # what one rank has learned is not asked
    assert found.trials["twice"]["parted"] is None
    assert found.trials["twice"]["steps"] == 50
    assert found.trials["range"]["state"] == "done", found.trials["range"]
    assert "Error" not in found.printed
