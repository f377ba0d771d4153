"""Twice the resolution: small blurred pictures of digits are drawn again at full size (Lim et al. 2017)."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 480
channels = 16
blocks = 2
noise = 0.05
batch = 16
epochs = 7
lr = 2e-3
weight_decay = 0.0
clip = 0.0
decay = 0.0

torch.manual_seed(seed)
digits = torch.tensor(np.load("digits.npz")["x"], dtype=torch.float32).view(-1, 8, 8) / 8 - 1


def pictures(count, digits):
    """Pictures of four digits (count, 1, 16, 16) in -1 to 1, and small noisy ones of them (count, 1, 8, 8)."""
    four = digits[torch.randint(len(digits), (count, 2, 2))]
    sharp = four.permute(0, 1, 3, 2, 4).reshape(count, 1, 16, 16)
    small = F.avg_pool2d(sharp, 2)
    return small + noise * torch.randn_like(small), sharp


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


class Sharpener(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block() for _ in range(blocks)))
        self.grow = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.last = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, small):
        x = self.blocks(self.first(small))
        return self.last(F.relu(self.shuffle(self.grow(x))))


x_train, y_train = pictures(rows, digits[:1300])
x_val, y_val = pictures(100, digits[1300:])
plain = F.mse_loss(F.interpolate(x_val, scale_factor=2, mode="bilinear"), y_val)
train = DataLoader(TensorDataset(x_train, y_train), batch, shuffle=True)
val = DataLoader(TensorDataset(x_val, y_val), 50)
model = Sharpener()
average = copy.deepcopy(model).requires_grad_(False) if decay else model
criterion = nn.L1Loss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for small, sharp in train:
        optimizer.zero_grad()
        out = model(small)
        loss = criterion(out, sharp)
        update(loss)
        if decay:
            for old, new in zip(average.parameters(), model.parameters(), strict=True):
                old.data.lerp_(new.data, 1 - decay)
    average.eval()
    val_loss, error = 0.0, 0.0
    with torch.no_grad():
        for small, sharp in val:
            out = average(small)
            val_loss += criterion(out, sharp).item() / len(val)
            error += F.mse_loss(out, sharp).item() / len(val)
    psnr = 10 * np.log10(4 / max(error, 1e-12))
    print(f"epoch {epoch}: train {loss.item():.4f}, val {val_loss:.4f}, PSNR {psnr:.2f} dB")
print("score", 1 - error / plain.item())
