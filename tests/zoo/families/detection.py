"""Which digit is it, and where? A convolutional network with two heads: the class, and the box in the picture."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 600
channels = 8
dropout = 0.0
box_weight = 5.0
batch = 32
epochs = 8
lr = 5e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
data = np.load("digits.npz")
digits, labels = torch.tensor(data["x"], dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(data["y"])


def scenes(count, source):
    """Pictures (count, 1, 16, 16) with a digit of 8 to 12 pixels each, its class, its box (centre, size)."""
    images, classes, boxes = 0.2 * torch.rand(count, 1, 16, 16), torch.zeros(count, dtype=torch.long), []
    for n, k in enumerate(source[torch.randint(len(source), (count,))].tolist()):
        side = int(torch.randint(8, 13, ()))
        top, left = torch.randint(0, 17 - side, (2,)).tolist()
        images[n, :, top : top + side, left : left + side] += F.interpolate(digits[k : k + 1], (side, side))[0]
        classes[n] = labels[k]
        boxes.append([left + side / 2, top + side / 2, side])
    return (images - 0.3) / 0.35, classes, torch.tensor(boxes) / 16


x_train, y_train, box_train = scenes(rows, torch.arange(1300))
x_val, y_val, box_val = scenes(250, torch.arange(1300, 1797))


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [1, channels, 2 * channels, 4 * channels]
        blocks = []
        for inside, outside in itertools.pairwise(sizes):
            blocks += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(), nn.MaxPool2d(2)]
        self.backbone = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(dropout))
        self.label = nn.Linear(16 * channels, 10)
        self.box = nn.Linear(16 * channels, 3)

    def forward(self, x):
        features = self.backbone(x)
        return self.label(features), self.box(features).sigmoid()


model = Detector()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
train = DataLoader(TensorDataset(x_train, y_train, box_train), batch, shuffle=True)
steps = epochs * len(train)
scheduler = None


def overlap(a, b):
    """Intersection over union of squares (n, 3)."""
    high = torch.minimum(a[:, :2] + a[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2)
    low = torch.maximum(a[:, :2] - a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2)
    inside = (high - low).clamp(min=0).prod(1)
    return inside / (a[:, 2] ** 2 + b[:, 2] ** 2 - inside)


for epoch in range(epochs):
    model.train()
    for x, y, box in train:
        logits, guess = model(x)
        label_loss = F.cross_entropy(logits, y)
        box_loss = F.smooth_l1_loss(guess, box)
        loss = label_loss + box_weight * box_loss
        optimizer.zero_grad()
        update(loss)
    model.eval()
    with torch.no_grad():
        logits, guess = model(x_val)
        val_loss = (F.cross_entropy(logits, y_val) + box_weight * F.smooth_l1_loss(guess, box_val)).item()
        found = ((logits.argmax(1) == y_val) * overlap(guess, box_val)).mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}, found {found:.3f}")
print("score", found)
