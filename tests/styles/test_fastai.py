"""What fastai does besides fit()."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ..probes.harness import watched


@pytest.mark.slow
def test_what_lr_find_tried_is_a_training_of_its_own(tmp_path):
    basics = pytest.importorskip("fastai.basics", reason="fastai is not installed: pip install -e '.[frameworks]'")
    pytest.importorskip("fastai.callback.schedule")

    def run():
        basics.set_seed(0)
        rows = list(zip(torch.randn(40, 5), torch.randint(0, 3, (40,)), strict=True))
        loaders = basics.DataLoaders(basics.DataLoader(rows, bs=8, shuffle=True), basics.DataLoader(rows[:8], bs=8))
        learn = basics.Learner(loaders, nn.Linear(5, 3), nn.CrossEntropyLoss(), path=tmp_path)
        learn.lr_find(num_it=30, stop_div=False, show_plot=False)
        with learn.no_logging():
            learn.fit(4, 0.01)

    done = watched(tmp_path, run)
    assert [segment["reason"] for segment in done.segments] == ["start", "resume"]
    assert done.steps("loss.train", 0) == list(range(1, 31))
    assert done.steps("loss.train", 1) == list(range(1, 21))
    assert done.values("lr", 0)[-1] > 1
    assert done.scalars("epoch", 1).tolist() == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5
    assert done.facts(1)["planned_steps"] == 20
