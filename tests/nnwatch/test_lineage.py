"""A training that goes on from a checkpoint finds the run that saved it, and only that one."""

import os
from pathlib import Path

from .doors import history

TRAIN = """
import os, sys
import torch
from torch import nn
path = "last.pt"
model = nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
if "resume" in sys.argv:
    state = torch.load(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
for step in range(12):
    nn.functional.cross_entropy(model(torch.ones(8, 4)), torch.zeros(8, dtype=torch.long)).backward()
    optimizer.step()
if "save" in sys.argv:
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
"""


def session(home, *words) -> str:
    before = set((home.folder / "sessions").glob("*.nnw"))
    done = home.nnwatch("run", "train.py", *words)
    assert done.returncode == 0, done.stderr
    [made] = set((home.folder / "sessions").glob("*.nnw")) - before
    return str(made)


def resumed(path: str):
    seen = history(path)
    return seen.main.segment.first_step, seen.facts_of(seen.main).get("resumed")


def test_a_run_is_linked_to_the_one_it_goes_on_from(home):
    home.script("train.py", TRAIN)
    first = session(home, "save")
    assert resumed(first) == (0, None)
    checkpoint = Path(os.path.realpath(home.folder / "last.pt"))
    assert resumed(session(home, "resume")) == (12, {"path": str(checkpoint), "step": 12, "session": first})
    os.utime(checkpoint, (1, 1))  # changed since then, by whomever
    assert resumed(session(home, "resume")) == (12, {"path": str(checkpoint), "step": 12, "session": None})
