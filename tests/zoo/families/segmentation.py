"""Which pixels belong to a digit? Masks from a cluttered canvas, by a small U-net with batch normalisation."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

seed = 0
rows = 480
channels = 8
dropout = 0.0
batch = 32
epochs = 8
lr = 5e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
digits = torch.tensor(np.load("digits.npz")["x"], dtype=torch.float32).view(-1, 8, 8) / 16


def canvas(count, source):
    """A digit somewhere on 16 x 16 pixels of noise (count, 1, 16, 16) and its mask."""
    image, mask = 0.4 * torch.rand(count, 1, 16, 16), torch.zeros(count, 1, 16, 16)
    for i in range(count):
        digit = source[torch.randint(len(source), ())]
        top, left = torch.randint(0, 9, (2,)).tolist()
        image[i, 0, top : top + 8, left : left + 8] += digit
        mask[i, 0, top : top + 8, left : left + 8] = (digit > 0.4).float()
    return image - 0.3, mask


x_train, y_train = canvas(rows, digits[:1300])
x_val, y_val = canvas(160, digits[1300:])


def block(inside, outside):
    return nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = block(1, channels), block(channels, 2 * channels)
        self.bottom = block(2 * channels, 2 * channels)
        self.up = block(3 * channels, channels)
        self.drop = nn.Dropout2d(dropout)
        self.out = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        fine = self.down1(x)
        coarse = self.bottom(self.down2(F.max_pool2d(fine, 2)))
        return self.out(self.drop(self.up(torch.cat([fine, F.interpolate(coarse, scale_factor=2)], 1))))


model = UNet()
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * ((rows + batch - 1) // batch)
scheduler = None

for epoch in range(epochs):
    model.train()
    for i in torch.randperm(rows).split(batch):
        optimizer.zero_grad()
        loss = loss_fn(model(x_train[i]), y_train[i])
        update(loss)
    model.eval()
    with torch.no_grad():
        logits = model(x_val)
        val_loss = loss_fn(logits, y_val).item()
        found = logits > 0
        iou = ((found & (y_val > 0)).sum() / (found | (y_val > 0)).sum()).item()
    print(f"epoch {epoch}: val loss {val_loss:.3f}, IoU {iou:.3f}")
print("score", iou)
