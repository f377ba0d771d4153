"""Find the way round a wall from the notes of an aimless walker: Q-learning offline, with a target network."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

seed = 0
walkers = 200
width = 64
gamma = 0.85
tau = 0.2
batch = 128
steps = 500
lr = 6e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
MOVES = 0.1 * torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
GOAL = torch.tensor([0.9, 0.9])


def walk(place, action):
    """One move of many walkers (n, 2) in a room of size 1 with a wall in the middle: place, reward, arrived."""
    after = (place + MOVES[action] + 0.01 * torch.randn_like(place)).clamp(0, 1)
    through = (place[:, 0] - 0.5) * (after[:, 0] - 0.5) < 0
    after = torch.where((through & (after[:, 1] > 0.6))[:, None], place, after)
    arrived = (after - GOAL).norm(dim=1) < 0.15
    return after, arrived.float(), arrived


def notes():
    """What the walkers did at random, thirty moves each: states, actions, rewards, next states, ends."""
    place, pages = torch.rand(walkers, 2), []
    for _ in range(30):
        action = torch.randint(0, 4, (walkers,))
        after, reward, end = walk(place, action)
        pages.append((place, action, reward, after, end.float()))
        place = torch.where(end[:, None], torch.rand(walkers, 2), after)
    return [torch.cat(column) for column in zip(*pages, strict=True)]


class QNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.values = nn.Linear(width, 4)

    def forward(self, state):
        waves = torch.cat([6 * state - 3, (12 * state).sin(), (12 * state).cos()], 1)
        return self.values(self.body(waves))


@torch.no_grad()
def arrive():
    """The share of walkers from the far side that come to the goal within thirty best moves."""
    place, there = torch.rand(200, 2) * torch.tensor([0.4, 1.0]), torch.zeros(200, dtype=torch.bool)
    for _ in range(30):
        place, _, end = walk(place, model(place).argmax(1))
        there |= end
    return there.float().mean().item()


memory = notes()
model = QNetwork()
target = copy.deepcopy(model)
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = None

for step in range(1, steps + 1):
    chosen = torch.randint(len(memory[0]), (batch,))
    state, action, reward, after, end = (column[chosen] for column in memory)
    with torch.no_grad():
        goal = reward + gamma * (1 - end) * target(after).amax(1)
    value = model(state).gather(1, action[:, None])[:, 0]
    loss = F.smooth_l1_loss(value, goal)
    optimizer.zero_grad()
    update(loss)
    with torch.no_grad():
        for old, new in zip(target.parameters(), model.parameters(), strict=True):
            old.lerp_(new, tau)
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.4f}, mean value {value.mean().item():.2f}")
print("score", arrive())
