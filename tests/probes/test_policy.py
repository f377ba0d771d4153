"""What a loss asks of a policy: the weights of its actions, the entropy's, the critic's, whatever the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Normal

from .harness import watched

STEPS, ROWS, ACTIONS = 6, 32, 4


class ActorCritic(nn.Module):
    def __init__(self, shared):
        super().__init__()
        self.body = nn.Linear(5, 16)
        self.other = self.body if shared else nn.Linear(5, 16)
        self.actor, self.critic = nn.Linear(16, ACTIONS), nn.Linear(16, 1)

    def forward(self, state):
        return self.actor(self.body(state).tanh()), self.critic(self.other(state).tanh()).squeeze(-1)


def by_distribution(logits, action):
    policy = Categorical(logits=logits)
    return policy.log_prob(action), policy.entropy()


def by_gather(logits, action):
    logs = logits.log_softmax(-1)
    return logs.gather(1, action[:, None]).squeeze(1), -(logs.exp() * logs).sum(-1)


def by_index(logits, action):
    shares = logits.softmax(-1)
    return torch.log(shares)[torch.arange(len(action)), action], -(shares * shares.log()).sum(-1)


def by_shares(logits, action):
    policy = Categorical(probs=logits.softmax(-1))
    return policy.log_prob(action), by_gather(logits, action)[1]


def by_cross_entropy(logits, action):
    return -F.cross_entropy(logits, action, reduction="none"), by_gather(logits, action)[1]


STYLES = [by_distribution, by_gather, by_index, by_shares, by_cross_entropy]


def train(tmp_path, loss, shared=True, rate=0.1):
    """``loss(logits, values, action, returns)``; the action is drawn from the policy."""

    def run():
        torch.manual_seed(0)
        model = ActorCritic(shared)
        optimizer = torch.optim.SGD(model.parameters(), rate)
        for _ in range(STEPS):
            state = torch.randn(ROWS, 5)
            with torch.no_grad():
                action = Categorical(logits=model(state)[0]).sample()
            value = loss(*model(state), action, torch.randn(ROWS) + 3)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    return watched(tmp_path, run)


@pytest.mark.parametrize("style", STYLES)
def test_an_actor_and_its_critic(tmp_path, style):
    wanted = []

    def loss(logits, values, action, returns):
        logs, entropy = style(logits, action)
        advantage = (returns - values).detach()
        wanted.append(float(advantage.abs().mean()))
        return -(logs * advantage).mean() + 0.5 * F.mse_loss(values, returns) - 0.02 * entropy.mean()

    done = train(tmp_path, loss)
    np.testing.assert_allclose(done.scalars("policy.agreement"), 1, rtol=1e-4)
    np.testing.assert_allclose(done.scalars("policy.critic"), 1, rtol=1e-4)
    np.testing.assert_allclose(done.scalars("policy.bonus"), 0.02 / np.array(wanted), rtol=0.02)
    assert (done.scalars("policy.entropy") > 0.9).all()
    assert "policy.kl" not in done.series
    assert done.facts()["shared_body"] is True


def test_what_is_turned_around(tmp_path):
    """The gain and the bonus have the wrong sign; the critic's error is written by hand, and bodies are two."""

    def loss(logits, values, action, returns):
        logs, entropy = by_gather(logits, action)
        return (logs * (returns - values).detach()).mean() + (returns - values).pow(2).mean() + 3 * entropy.mean()

    done = train(tmp_path, loss, shared=False)
    np.testing.assert_allclose(done.scalars("policy.agreement"), -1, rtol=1e-4)
    np.testing.assert_allclose(done.scalars("policy.critic"), 2, rtol=1e-4)
    assert (done.scalars("policy.bonus") < -0.5).all()
    assert done.facts()["shared_body"] is False


def test_without_a_critic_a_name_tells_what_is_to_become_large(tmp_path):
    """Two of the script's tensors weigh the actions in turn, each known by its name where backward() is called."""

    def run():
        torch.manual_seed(0)
        model = ActorCritic(True)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for step in range(STEPS):
            logits, _ = model(torch.randn(ROWS, 5))
            logs, _ = by_gather(logits, logits.argmax(1))
            advantages, costs = torch.randn(ROWS), torch.randn(ROWS)
            loss = (logs * advantages).mean() if step % 2 else (logs * costs).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    done = watched(tmp_path, run)
    found = dict(zip(done.steps("policy.agreement"), done.scalars("policy.agreement"), strict=True))
    assert [step for step, value in found.items() if np.isfinite(value)] == [2, 4, 6]
    np.testing.assert_allclose([found[2], found[4], found[6]], -1, rtol=1e-4)
    np.testing.assert_array_equal(done.scalars("policy.bonus"), 0)


@pytest.mark.parametrize("apart", [0, 1])
def test_the_policy_that_acted_and_the_one_that_learns(tmp_path, apart):
    """The ratio is 1 before a step is made with the batch, unless the actions belong to other states."""

    def loss(logits, values, action, returns):
        policy = Categorical(logits=3 * logits)
        old = policy.log_prob(action).detach()
        ratio = (policy.log_prob(action.roll(apart)) - old).exp()
        advantage = returns - returns.mean()
        return -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()

    done = train(tmp_path, loss, rate=1e-3)
    if apart:
        assert (done.scalars("policy.drift") > 0.5).all()
        assert (done.scalars("policy.kl") > 0.05).all()
        assert (done.scalars("policy.clipped") > 0.1).all()
    else:
        assert (done.scalars("policy.drift") < 1e-4).all()
        assert (done.scalars("policy.kl") < 1e-6).all()
    np.testing.assert_array_equal(done.scalars("policy.reached"), 1)


def test_log_probabilities_without_their_graph(tmp_path):
    def loss(logits, values, action, returns):
        policy = Categorical(logits=logits)
        return -(policy.log_prob(action).detach() * returns).mean() - 0.01 * policy.entropy().mean()

    done = train(tmp_path, loss)
    np.testing.assert_array_equal(done.scalars("policy.reached"), 0)
    assert "policy.entropy" not in done.series


def test_a_continuous_policy(tmp_path):
    """An action of several numbers, whose log-probabilities are added up; the exp of a deviation is no ratio."""

    def loss(logits, values, action, returns):
        policy = Normal(logits[:, :2], (0.01 * logits[:, 2:]).exp())
        logs = policy.log_prob(policy.sample()).sum(-1)
        gain = (logs * (returns - values.detach())).mean() - 1e-3 * policy.stddev.square().mean()
        return -gain + F.smooth_l1_loss(values, returns, beta=9.0)

    done = train(tmp_path, loss)
    np.testing.assert_allclose(done.scalars("policy.agreement"), 1, rtol=1e-4)
    assert not {"policy.entropy", "policy.drift"} & done.series.keys()


def test_an_episode_is_a_step(tmp_path):
    """Log-probabilities of one action each, stacked at the end."""

    def loss(logits, values, action, returns):
        logs = [Categorical(logits=row).log_prob(one) for row, one in zip(logits, action, strict=True)]
        return (torch.stack(logs) * (returns - values.detach())).sum() + F.mse_loss(values, returns)

    done = train(tmp_path, loss)
    np.testing.assert_allclose(done.scalars("policy.agreement"), -1, rtol=1e-4)
    assert done.scalars("policy.entropy")[0] > 0.9


def test_labels_are_no_actions(tmp_path):
    done = train(tmp_path, lambda logits, values, action, returns: F.cross_entropy(logits, action))
    assert not [metric for metric in done.series if metric.startswith("policy.")]


def test_attention_is_passed_through(tmp_path):
    """Its scale is a plain number that the graph does not keep."""

    def run():
        torch.manual_seed(0)
        body, head = nn.Linear(5, 16), nn.Linear(16, ACTIONS)
        optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], 0.1)
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            for _ in range(3):
                h = body(torch.randn(8, 3, 5))
                logits = head(F.scaled_dot_product_attention(h, h, h)).mean(1)
                optimizer.zero_grad()
                F.cross_entropy(logits, torch.zeros(8).long()).backward()
                optimizer.step()

    assert len(watched(tmp_path, run).scalars("loss.train")) == 3
