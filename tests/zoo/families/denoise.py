"""Noise is taken out of a photograph by a small U-Net (Ronneberger et al. 2015), on squares cut from it at random."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

seed = 0
width = 8
size = 16
batch = 16
noise = 0.3
steps = 300
lr = 8e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
photo = torch.tensor(np.load("temple.npz")["x"])
photo = (photo - photo[:, :144].mean()) / photo[:, :144].std()
seen, kept = photo[:, :144], photo[:, 144:]


def squares(picture, count):
    """Squares (count, 1, size, size) from anywhere in a picture."""
    tops = torch.randint(picture.shape[0] - size + 1, (count,)).tolist()
    lefts = torch.randint(picture.shape[1] - size + 1, (count,)).tolist()
    cut = [picture[top : top + size, left : left + size] for top, left in zip(tops, lefts, strict=True)]
    return torch.stack(cut)[:, None]


def double(inside, outside):
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU(), nn.Conv2d(outside, outside, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = double(1, width)
        self.down2 = double(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.merge = double(2 * width, width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        fine = self.down1(x)
        coarse = self.down2(F.max_pool2d(fine, 2))
        return self.last(self.merge(torch.cat([fine, self.up(coarse)], 1)))


model = UNet()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
val_clean = squares(kept, 100)
val_noisy = val_clean + noise * torch.randn(val_clean.shape)


@torch.no_grad()
def validate():
    """Loss on squares of the other side, and how many decibels of noise are gone."""
    model.eval()
    val_loss = F.mse_loss(model(val_noisy), val_clean)
    return val_loss.item(), 20 * math.log10(noise) - 10 * math.log10(val_loss.item())


for step in range(steps):
    model.train()
    clean = squares(seen, batch)
    noisy = clean + noise * torch.randn(clean.shape)
    loss = F.mse_loss(model(noisy), clean)
    optimizer.zero_grad()
    update(loss)
    if step % 50 == 49:
        val_loss, gain = validate()
        print(f"step {step + 1}: loss {loss.item():.4f}, val {val_loss:.4f}, {gain:.2f} dB")
print("score", gain)
