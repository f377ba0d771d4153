"""How likely is this picture? Coupling layers turn digits into independent noise (real NVP, Dinh et al. 2017)."""

import math

import numpy as np
import torch
from torch import nn

seed = 0
rows = 1300
width = 96
depth = 4
dropout = 0.0
batch = 64
epochs = 16
lr = 1e-3
weight_decay = 0.0
clip = 5.0

torch.manual_seed(seed)
x = torch.tensor(np.load("digits.npz")["x"], dtype=torch.float32)
x = (x[torch.randperm(len(x))] + torch.rand(x.shape)) / 17
x = (x - x[:1300].mean(0)) / x[:1300].std(0)
x_train, x_val = x[:rows], x[1350:]
columns = x.shape[1]


class Coupling(nn.Module):
    """Half of the columns scale and shift the other half."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = nn.Sequential(
            nn.Linear(columns, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 2 * columns)
        )

    def forward(self, x):
        scale, shift = self.net(x * self.mask).chunk(2, 1)
        scale = torch.tanh(scale) * (1 - self.mask)
        return x * scale.exp() + shift * (1 - self.mask), scale.sum(1)


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        masks = [(torch.arange(columns) + i) % 2 for i in range(depth)]
        self.couplings = nn.ModuleList(Coupling(mask.float()) for mask in masks)

    def forward(self, x):
        """Minus the log-likelihood of each picture (n, columns), divided by the columns."""
        volume = torch.zeros(len(x))
        for coupling in self.couplings:
            x, log_scale = coupling(x)
            volume = volume + log_scale
        density = -0.5 * (x**2 + math.log(2 * math.pi)).sum(1)
        return -(density + volume) / columns


model = Flow()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * ((rows + batch - 1) // batch)
scheduler = None

for epoch in range(epochs):
    model.train()
    for i in torch.randperm(rows).split(batch):
        optimizer.zero_grad()
        loss = model(x_train[i]).mean()
        update(loss)
    model.eval()
    with torch.no_grad():
        val_loss = model(x_val).mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}")
print("score", -val_loss)
