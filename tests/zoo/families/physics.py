"""A spring that comes to rest, from its equation alone: u'' + 2 d u' + w^2 u = 0 (Raissi et al. 2019)."""

import math

import torch
from torch import nn

seed = 0
width = 32
batch = 64
steps = 600
lr = 8e-3
weight_decay = 0.0
clip = 0.0
start_weight = 10.0
damping = 1.0
frequency = 5.0

torch.manual_seed(seed)


def solution(t):
    """The exact motion from u = 1 at rest."""
    omega = math.sqrt(frequency**2 - damping**2)
    return (-damping * t).exp() * ((omega * t).cos() + damping / omega * (omega * t).sin())


def slope(u, t):
    return torch.autograd.grad(u.sum(), t, create_graph=True)[0]


def losses(t):
    """How far the net is from the equation at the times (n, 1), and from its start at t = 0."""
    u = model(t)
    speed = slope(u, t)
    residual = slope(speed, t) + 2 * damping * speed + frequency**2 * u
    zero = torch.zeros(1, 1, requires_grad=True)
    first = model(zero)
    start = (first - 1) ** 2 + slope(first, zero) ** 2 / frequency**2
    return (residual / frequency**2).pow(2).mean(), start.mean()


model = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = None

for step in range(1, steps + 1):
    times = 1.5 * torch.rand(batch, 1)
    equation, start = losses(times.requires_grad_())
    loss = equation + start_weight * start
    optimizer.zero_grad()
    update(loss)
    if step % 100 == 0:
        print(f"step {step}: equation {equation.item():.2e}, start {start.item():.2e}")

with torch.no_grad():
    grid = torch.linspace(0, 1.5, 200)[:, None]
    error = (model(grid) - solution(grid)).pow(2).mean().sqrt()
print("score", 1 - error.item())
