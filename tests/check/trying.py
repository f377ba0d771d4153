"""Runs `nnwatch check` on small scripts, each in a home of its own."""

from __future__ import annotations

import subprocess
from typing import Any

from nnwatch.frame import Event
from nnwatch.history import History
from nnwatch.screen import summary

from ..nnwatch.doors import Home

PLAIN = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(256, 8)
y = (x.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.1)
for epoch in range(EPOCHS):
    for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(a), b)
        loss.backward()
        optimizer.step()
print("trained to the end")
"""


ENOUGH = ("--minutes", "60")


class Check:
    """One check: how the command ended, and what its session tells."""

    def __init__(self, home: Home, done: subprocess.CompletedProcess[str]) -> None:
        self.done = done
        self.home = home
        self.card = home.cards()[-1]

    @property
    def history(self) -> History:
        about, flaw = summary(self.card)
        assert flaw is None
        return about.history

    @property
    def trials(self) -> dict[str, dict[str, Any]]:
        events: list[Event] = self.history.events
        return {event.data["trial"]: event.data for event in events if event.name == "trial"}

    @property
    def printed(self) -> str:
        """By the script."""
        job = self.home.folder / "state" / "nnwatch" / "jobs" / self.card.id
        return (job / "console").read_text()


def check(home: Home, script: str, *options: str, args: tuple[str, ...] = (), **more: Any) -> Check:
    """``nnwatch check OPTIONS train.py ARGS``; unless it is about time, there is enough on any machine."""
    home.script("train.py", script)
    return Check(home, home.nnwatch("check", *_time(options), "train.py", *args, **more))


def _time(options: tuple[str, ...]) -> tuple[str, ...]:
    return options if "--minutes" in options else (*ENOUGH, *options)
