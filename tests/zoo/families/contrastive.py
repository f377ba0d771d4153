"""Digits without labels: two noisy views of a picture belong together (SimCLR)."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

seed = 0
rows = 1300
width = 128
size = 32
noise = 0.3
temperature = 0.2
batch = 128
epochs = 14
lr = 2e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
x = torch.tensor(np.load("digits.npz")["x"], dtype=torch.float32)
x = (x - x.mean()) / x.std()
x = x[torch.randperm(len(x))]
x_train, x_val = x[:rows], x[1350:]


def view(images):
    """A quarter of the pixels left out, noise on the rest."""
    return images * (torch.rand_like(images) > 0.25) + noise * torch.randn_like(images)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.project = nn.Linear(width, size)

    def forward(self, x):
        return F.normalize(self.project(self.body(x)), dim=1)


model = Encoder()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * (rows // batch)
scheduler = None


def nt_xent(a, b):
    """Each view finds its partner among all others of the batch (Chen et al. 2020)."""
    z = torch.cat([a, b])
    similar = z @ z.T / temperature
    similar = similar.masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
    partner = torch.arange(len(z)).roll(len(a))
    return F.cross_entropy(similar, partner)


for epoch in range(epochs):
    model.train()
    for i in torch.randperm(rows)[: rows // batch * batch].split(batch):
        loss = nt_xent(model(view(x_train[i])), model(view(x_train[i])))
        optimizer.zero_grad()
        update(loss)
    model.eval()
    with torch.no_grad():
        one, other = model(view(x_val)), model(view(x_val))
        val_loss = nt_xent(one, other).item()
        found = ((one @ other.T).argmax(1) == torch.arange(len(x_val))).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}, partner found {found:.3f}")
print("score", found if torch.isfinite(one).all() else 0.0)
