"""Sail to the buoy against the wind: proximal policy optimisation (Schulman et al. 2017), an actor and a critic."""

import torch
from torch import nn
from torch.distributions import Categorical

seed = 0
width = 48
boats = 32
horizon = 32
updates = 20
passes = 4
minibatch = 256
gamma = 0.95
lam = 0.9
epsilon = 0.2
bonus = 0.005
value_weight = 0.5
lr = 3e-3
weight_decay = 0.0
clip = 0.5

torch.manual_seed(seed)
PUSHES = torch.tensor([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]])


class Sea:
    """Boats that drift with the wind; their state is where the buoy is, how fast they are, and the wind (boats, 6)."""

    def reset(self):
        self.place = 4 * torch.rand(boats, 2) - 2
        self.speed, self.wind = torch.zeros(boats, 2), 0.3 * torch.randn(boats, 2)
        return self.state()

    def state(self):
        return torch.cat([self.place, self.speed, self.wind], 1)

    def step(self, action):
        """The next state, and how much nearer the buoy has come."""
        before = self.place.norm(dim=1)
        self.speed = 0.8 * self.speed + 0.15 * (PUSHES[action] + self.wind) + 0.02 * torch.randn(boats, 2)
        self.place = self.place + self.speed
        return self.state(), before - self.place.norm(dim=1)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(
            nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 5),
        )  # fmt: skip
        self.critic = nn.Sequential(
            nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, state):
        return self.actor(state), self.critic(state).squeeze(-1)


def collect(sea, model):
    """One voyage of every boat: states, actions, their log-probabilities, advantages and returns, all in a row."""
    state, records = sea.reset(), []
    with torch.no_grad():
        for _ in range(horizon):
            logits, value = model(state)
            policy = Categorical(logits=logits)
            action = policy.sample()
            following, reward = sea.step(action)
            records.append((state, action, policy.log_prob(action), value, reward))
            state = following
        after, ahead = model(state)[1], torch.zeros(boats)
        states, actions, logs, values, rewards = map(torch.stack, zip(*records, strict=True))
    advantages = torch.zeros_like(rewards)
    for t in reversed(range(horizon)):
        ahead = rewards[t] + gamma * after - values[t] + gamma * lam * ahead
        advantages[t], after = ahead, values[t]
    return (
        states.flatten(0, 1),
        actions.flatten(),
        logs.flatten(),
        advantages.flatten(),
        (advantages + values).flatten(),
    )


sea, model = Sea(), ActorCritic()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = updates * passes * (boats * horizon // minibatch)
scheduler = None
distances = []

for update in range(updates):
    states, actions, old, advantages, returns = collect(sea, model)
    distances.append(sea.place.norm(dim=1).mean().item())
    for _ in range(passes):
        for chosen in torch.randperm(len(states)).split(minibatch):
            logits, value = model(states[chosen])
            policy = Categorical(logits=logits)
            ratio = (policy.log_prob(actions[chosen]) - old[chosen]).exp()
            advantage = advantages[chosen]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            gain = torch.min(ratio * advantage, ratio.clamp(1 - epsilon, 1 + epsilon) * advantage).mean()
            entropy = policy.entropy().mean()
            loss = -gain + value_weight * (returns[chosen] - value).pow(2).mean() - bonus * entropy
            optimizer.zero_grad()
            update(loss)
    if update % 5 == 0:
        print(f"update {update}: {distances[-1]:.2f} from the buoy, entropy {entropy.item():.2f}")
print("score", -sum(distances[-4:]) / 4)
