"""Entropy and KL of the distributions that a step uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from .harness import watched

STEPS = 6


def close(found, wanted):
    np.testing.assert_allclose(found, np.array(wanted, float), rtol=1e-5)


def trained(tmp_path, loss):
    """``loss(output)`` gives the loss and the numbers that are to be recorded."""
    wanted = []

    def run():
        torch.manual_seed(0)
        model = nn.Linear(5, 6)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(STEPS):
            value, *numbers = loss(model(torch.randn(7, 5)))
            wanted.append([float(torch.as_tensor(number).detach()) for number in numbers])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    return watched(tmp_path, run), np.array(wanted)


def test_a_policy(tmp_path):
    def loss(output):
        policy = Categorical(logits=output)
        action = policy.sample()
        Categorical(logits=torch.zeros(3))  # made, not used
        return -policy.log_prob(action).mean(), policy.entropy().mean()

    done, wanted = trained(tmp_path, loss)
    close(done.scalars("distribution.entropy"), wanted[:, 0])
    assert "distribution.kl" not in done.series
    assert done.facts()["reinforcement"] is True


def test_a_policy_that_learns_from_a_buffer(tmp_path):
    """The old log-probability is asked for without gradients; what is learned from is a copy of the action."""

    def loss(output):
        policy = Categorical(logits=output)
        with torch.no_grad():
            action = policy.sample()
            old = policy.log_prob(action)
        return -(policy.log_prob(action[torch.randperm(7)]) - old).exp().mean(), 0

    done, _ = trained(tmp_path, loss)
    assert done.facts()["reinforcement"] is True


def test_a_likelihood_of_the_data_is_no_policy(tmp_path):
    """As in a variational autoencoder, whose decoder is also drawn from, for a picture."""

    def loss(output):
        code = Normal(output[:, :3], output[:, 3:].exp())
        decoded = Normal(code.rsample(), 1.0)
        with torch.no_grad():
            decoded.sample()
        return -decoded.log_prob(torch.zeros(7, 3)).mean(), 0

    done, _ = trained(tmp_path, loss)
    assert "reinforcement" not in done.facts()


@pytest.mark.parametrize("independent", [False, True])
def test_divergence_of_a_latent_code(tmp_path, independent):
    def loss(output):
        mean, scale = output.split(3, 1)
        pair = Normal(mean, scale.exp()), Normal(torch.zeros(7, 3), torch.ones(7, 3))
        code, prior = (Independent(part, 1) for part in pair) if independent else pair
        divergence = torch.distributions.kl_divergence(code, prior)
        return (
            F.mse_loss(code.rsample(), torch.zeros(7, 3)) + divergence.mean(),
            divergence.sum() / 21,
            code.entropy().mean(),
        )

    done, wanted = trained(tmp_path, loss)
    close(done.scalars("distribution.kl"), wanted[:, 0])
    close(done.scalars("distribution.entropy"), wanted[:, 1])


@pytest.mark.parametrize("form", ["pow", "square", "**"])
def test_divergence_written_by_hand(tmp_path, form):
    def loss(output):
        mean, logvar = output.split(3, 1)
        code = mean + torch.randn(7, 3) * torch.exp(0.5 * logvar)
        square = {"pow": mean.pow(2), "square": mean.square(), "**": mean**2}[form]
        divergence = -0.5 * torch.sum(1 + logvar - square - logvar.exp())
        return F.mse_loss(code, torch.zeros(7, 3), reduction="sum") + divergence, divergence / 21

    done, wanted = trained(tmp_path, loss)
    close(done.scalars("distribution.kl"), wanted[:, 0])


def test_weight_decay_written_by_hand_is_no_divergence(tmp_path):
    def loss(output):
        return (output**2).mean() + 0.1 * output[:, :2].exp().mean(), 0

    done, _ = trained(tmp_path, loss)
    assert "distribution.kl" not in done.series


def test_an_entropy_that_is_not_known(tmp_path):
    def loss(output):
        mixture = MixtureSameFamily(Categorical(logits=output[:, :3]), Normal(output[:, 3:], 1.0))
        return -mixture.log_prob(torch.zeros(7)).mean(), 0

    done, _ = trained(tmp_path, loss)
    assert "distribution.entropy" not in done.series


def test_torch_is_left_as_it_was(tmp_path):
    def surface():
        methods = [vars(Categorical)[name] for name in ("log_prob", "sample")]
        return [
            *methods,
            vars(Normal)["rsample"],
            torch.distributions.kl_divergence,
            torch.distributions.kl.kl_divergence,
        ]

    before = surface()
    trained(tmp_path, lambda output: (-Categorical(logits=output).log_prob(torch.zeros(7)).mean(), 0))
    assert surface() == before
