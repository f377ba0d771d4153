"""Balance a pole on a cart: policy gradients (REINFORCE) on sixteen carts at once, simulated here."""

import torch
from torch import nn
from torch.distributions import Categorical

seed = 0
width = 32
carts = 16
horizon = 50
updates = 40
gamma = 0.97
bonus = 0.0
lr = 0.01
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)


def push(state, force):
    """The cart-pole of Barto, Sutton and Anderson (1983), one step of 0.02 s of many carts (n, 4)."""
    x, v, angle, spin = state.unbind(1)
    sin, cos = angle.sin(), angle.cos()
    pull = (force + 0.05 * spin**2 * sin) / 1.1
    turn = (9.8 * sin - cos * pull) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    slide = pull - 0.05 * turn * cos / 1.1
    return torch.stack([x + 0.02 * v, v + 0.02 * slide, angle + 0.02 * spin, spin + 0.02 * turn], 1)


model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))
scale = torch.tensor([1.0, 1.0, 5.0, 1.0])
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = updates
scheduler = None
lengths = []

for update in range(updates):
    state, alive = 0.1 * torch.rand(carts, 4) - 0.05, torch.ones(carts)
    logs, entropies, lives = [], [], []
    for _ in range(horizon):
        choice = Categorical(logits=model(state * scale))
        action = choice.sample()
        logs.append(choice.log_prob(action))
        entropies.append(choice.entropy())
        lives.append(alive)
        state = push(state, 20.0 * action - 10.0)
        alive = alive * ((state[:, 0].abs() < 2.4) & (state[:, 2].abs() < 0.21)).float()
        if not alive.any():
            break
    lived = torch.stack(lives)
    returns, after = torch.zeros_like(lived), torch.zeros(carts)
    for t in reversed(range(len(lived))):
        after = lived[t] + gamma * after
        returns[t] = after * lived[t]
    mean, std = returns[lived > 0].mean(), returns[lived > 0].std()
    advantage = (returns - mean) / (std + 1e-6)
    loss = -(torch.stack(logs) * advantage * lived).sum() / lived.sum()
    loss = loss - bonus * (torch.stack(entropies) * lived).sum() / lived.sum()
    optimizer.zero_grad()
    update(loss)
    lengths.append(lived.sum(0).mean().item())
    if update % 10 == 9:
        print(f"update {update + 1}: {lengths[-1]:.1f} steps balanced")
print("score", sum(lengths[-10:]) / 10)
