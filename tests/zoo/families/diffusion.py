"""Digits out of noise: a network tells the noise that was put on a picture (denoising diffusion, Ho et al. 2020)."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

seed = 0
rows = 1300
times = 100
width = 128
dropout = 0.0
decay = 0.98
batch = 64
epochs = 16
lr = 2e-3
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)
x = torch.tensor(np.load("digits.npz")["x"], dtype=torch.float32) / 8 - 1
x = x[torch.randperm(len(x))]
x_train, x_val = x[:rows], x[1350:]
betas = torch.linspace(1e-3, 0.06, times)
kept = (1 - betas).cumprod(0)


def noisy(images, t, noise):
    """The pictures (n, 64) after ``t`` steps of noise."""
    return kept[t, None].sqrt() * images + (1 - kept[t, None]).sqrt() * noise


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Embedding(times, width)
        self.first = nn.Linear(64, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
            for _ in range(2)
        )
        self.drop = nn.Dropout(dropout)
        self.last = nn.Linear(width, 64)

    def forward(self, x, t):
        hidden = self.first(x) + self.time(t)
        for block in self.blocks:
            hidden = hidden + self.drop(block(hidden))
        return self.last(hidden)


model = Denoiser()
average = copy.deepcopy(model).requires_grad_(False)
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * ((rows + batch - 1) // batch)
scheduler = None

for epoch in range(epochs):
    model.train()
    for i in torch.randperm(rows).split(batch):
        images = x_train[i]
        t, noise = torch.randint(0, times, (len(i),)), torch.randn_like(images)
        guess = model(noisy(images, t, noise), t)
        loss = F.mse_loss(guess, noise)
        optimizer.zero_grad()
        update(loss)
        with torch.no_grad():
            for old, new in zip(average.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 1 - decay)
    average.eval()
    with torch.no_grad():
        fixed = torch.Generator().manual_seed(1)
        t = torch.randint(0, times, (len(x_val),), generator=fixed)
        noise = torch.randn(x_val.shape, generator=fixed)
        val_loss = F.mse_loss(average(noisy(x_val, t, noise), t), noise).item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}")
print("score", -val_loss)
