"""A rate for the time of one step."""

import pytest
import torch

from nnwatch.probes.trials.rates import Rates


def optimizer(*groups):
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))]} | group for group in groups])


def test_groups_keep_their_ratios_and_get_their_own_back():
    scheduled = optimizer({"lr": 0.1}, {"lr": 0.02, "initial_lr": 0.05})
    rates = Rates()
    rates.set(scheduled, 4.0)
    assert [group["lr"] for group in scheduled.param_groups] == [4.0, 2.0]
    rates.back()
    assert [group["lr"] for group in scheduled.param_groups] == [0.1, 0.02]
    assert rates.present == 0.1
    assert rates.groups == [1.0, 0.5]
    assert not rates.refused


def test_a_rate_that_is_a_tensor_is_filled_in_place():
    rate = torch.tensor(0.25)
    captured = optimizer({"lr": rate})
    rates = Rates()
    rates.set(captured, 3.0)
    assert captured.param_groups[0]["lr"] is rate
    assert float(rate) == 3.0
    rates.back()
    assert float(rate) == 0.25


def test_several_optimizers_are_measured_by_the_highest_rate():
    one, other = optimizer({"lr": 1e-3}), optimizer({"lr": 1e-2})
    rates = Rates()
    for each in (one, other):
        rates.set(each, 1.0)
        rates.back()
    rates.set(one, 1.0)
    assert one.param_groups[0]["lr"] == pytest.approx(0.1)
    assert rates.groups == pytest.approx([0.1, 1.0])


def test_an_optimizer_without_a_rate_refuses():
    adafactor = optimizer({"lr": 0.1})
    adafactor.param_groups[0]["lr"] = None
    rates = Rates()
    rates.set(adafactor, 1.0)
    rates.back()
    assert rates.refused
    assert adafactor.param_groups[0]["lr"] is None


def test_an_optimizer_that_keeps_its_own_refuses():
    class Fixed:
        """Gives out copies of its settings, as fastai's does."""

        @property
        def param_groups(self):
            return [{"lr": 0.1}]

    rates = Rates()
    rates.set(Fixed(), 1.0)  # type: ignore[arg-type]
    assert rates.refused
