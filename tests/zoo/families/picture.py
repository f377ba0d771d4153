"""A photograph as a network: colours from coordinates that are first turned into waves (Tancik et al. 2020)."""

import math

import numpy as np
import torch
from torch import nn

seed = 0
waves = 48
scale = 3.0
width = 64
dropout = 0.0
batch = 512
steps = 400
lr = 5e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
photo = torch.tensor(np.load("photo.npz")["x"])
height, breadth = photo.shape[:2]
rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, breadth), indexing="ij")
where = torch.stack([rows, columns], 2).view(-1, 2)
colour = photo.view(-1, 3)
order = torch.randperm(len(where))
seen, kept = order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :]
directions = scale * torch.randn(2, waves)


def encode(x):
    """Sines and cosines (n, 2 * waves) of coordinates (n, 2)."""
    phases = math.pi * x @ directions
    return torch.cat([phases.sin(), phases.cos()], 1)


model = nn.Sequential(
    nn.Linear(2 * waves, width),
    nn.ReLU(),
    nn.Dropout(dropout),
    nn.Linear(width, width),
    nn.ReLU(),
    nn.Linear(width, width),
    nn.ReLU(),
    nn.Linear(width, 3),
    nn.Sigmoid(),
)
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = None


def psnr(error):
    return -10 * math.log10(error)


for step in range(steps):
    chosen = seen[torch.randint(len(seen), (batch,))]
    x, y = where[chosen], colour[chosen]
    loss = ((model(encode(x)) - y) ** 2).mean()
    optimizer.zero_grad()
    update(loss)
    if step % 50 == 49:
        model.eval()
        with torch.no_grad():
            val_loss = ((model(encode(where[kept])) - colour[kept]) ** 2).mean().item()
        model.train()
        print(f"step {step + 1}: loss {loss.item():.4f}, pixels kept back {val_loss:.4f}, {psnr(val_loss):.1f} dB")
print("score", psnr(val_loss))
