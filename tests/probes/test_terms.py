"""Several losses, each by the line that calls it. The losses are called from a file that is no library's: this one."""

from __future__ import annotations

import inspect

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .harness import watched


def lines(function, *texts):
    """``test_terms.py:N`` of the lines of ``function`` that hold these texts."""
    source, first = inspect.getsourcelines(function)
    return [f"test_terms.py:{first + next(n for n, line in enumerate(source) if text in line)}" for text in texts]


def close(found, wanted):
    np.testing.assert_allclose(found, np.array(wanted, float), rtol=1e-6)


def test_a_sum_of_losses_and_one_that_comes_seldom(tmp_path):
    wanted = []

    def run():
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
        for step in range(30):
            output = model(x)
            a = F.cross_entropy(output, y)
            b = nn.MSELoss()(output, torch.zeros(8, 3))
            loss = a + 0.1 * b
            rare = float("nan")
            if step in (3, 25):
                c = F.l1_loss(model.weight, torch.zeros(3, 4))
                loss, rare = loss + c, c.item()
            F.mse_loss(output, torch.ones(8, 3))  # looked at only
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wanted.append([a.item(), b.item(), rare])

    done = watched(tmp_path, run)
    one, two, three = lines(run, "a = F.", "b = nn.", "c = F.")
    assert done.names["loss.term"] == [f"cross_entropy {one}", f"mse_loss {two}", f"l1_loss {three}"]
    assert done.steps("loss.term") == list(range(1, 31))
    found = [list(value) + [np.nan] * (3 - len(value)) for _, _, value in done.series["loss.term"]]
    close(found, wanted)
    assert done.facts()["loss_terms"] == done.names["loss.term"]


def test_micro_batches_and_a_loop_over_heads_are_averaged(tmp_path):
    wanted = []

    def run():
        torch.manual_seed(0)
        model = nn.Linear(4, 10)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        x, y = torch.randn(2, 6, 4), torch.randn(2, 6, 5)
        for _ in range(5):
            sums = [0.0, 0.0]
            for part in range(2):
                heads = model(x[part]).split(2, 1)
                losses = [F.smooth_l1_loss(head, y[part, :, [k, k]]) for k, head in enumerate(heads)]
                norm = F.mse_loss(model.weight, torch.zeros(10, 4))
                ((sum(losses) + norm) / 2).backward()
                sums[0] += sum(loss.item() for loss in losses) / 10
                sums[1] += norm.item() / 2
            wanted.append(sums)
            optimizer.step()
            optimizer.zero_grad()

    done = watched(tmp_path, run)
    assert [name.split()[0] for name in done.names["loss.term"]] == ["smooth_l1_loss", "mse_loss"]
    close(done.values("loss.term"), wanted)


def test_a_gan(tmp_path):
    """Each of its steps has the terms of one of the two."""
    wanted = []

    def run():
        torch.manual_seed(0)
        maker, judge = nn.Linear(2, 6), nn.Linear(6, 1)
        one, two = torch.optim.SGD(judge.parameters(), 0.1), torch.optim.SGD(maker.parameters(), 0.1)
        loss, nan = nn.BCEWithLogitsLoss(), float("nan")
        for _ in range(6):
            one.zero_grad()
            real = loss(judge(torch.randn(8, 6)), torch.ones(8, 1))
            real.backward()
            fake = loss(judge(maker(torch.randn(8, 2)).detach()), torch.zeros(8, 1))
            fake.backward()
            one.step()
            wanted.append([real.item(), fake.item(), nan])
            two.zero_grad()
            fooled = loss(judge(maker(torch.randn(8, 2))), torch.ones(8, 1))
            fooled.backward()
            two.step()
            wanted.append([nan, nan, fooled.item()])

    done = watched(tmp_path, run)
    places = lines(run, "real = loss", "fake = loss", "fooled = loss")
    assert done.names["loss.term"] == [f"binary_cross_entropy_with_logits {place}" for place in places]
    found = [list(value) + [np.nan] * (3 - len(value)) for _, _, value in done.series["loss.term"]]
    close(found, wanted)


def test_one_loss_has_no_terms(tmp_path):
    def run():
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(30):
            optimizer.zero_grad()
            F.mse_loss(model(torch.randn(8, 4)), torch.zeros(8, 3)).backward()
            optimizer.step()

    done = watched(tmp_path, run)
    assert "loss.term" not in done.series
    assert "loss_terms" not in done.facts()


def test_two_phases_of_a_training_have_a_loss_each_and_no_terms(tmp_path):
    """The first is over when the second begins, as with fit() called twice."""

    def run():
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        x, y = torch.randn(8, 4), torch.zeros(8, 3)

        def step(loss):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        for _ in range(8):
            step(F.l1_loss(model(x), y))
        for _ in range(22):
            step(F.mse_loss(model(x), y))

    done = watched(tmp_path, run)
    assert len(done.steps("loss.train")) == 30
    assert "loss.term" not in done.series
    assert "loss_terms" not in done.facts()
