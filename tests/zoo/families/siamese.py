"""Digits by distance: one encoder for three pictures, and a triplet loss (Schroff et al. 2015)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 1200
width = 12
features = 24
dropout = 0.0
margin = 0.5
batch = 32
epochs = 6
lr = 5e-3
weight_decay = 0.0
clip = 0.0


class Triplets(Dataset):
    """A picture, another of the same digit, and one of another digit."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.same = [torch.nonzero(labels == digit)[:, 0] for digit in range(10)]
        self.other = [torch.nonzero(labels != digit)[:, 0] for digit in range(10)]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        digit = self.labels[index]
        same, other = self.same[digit], self.other[digit]
        positive = same[torch.randint(len(same), ())]
        negative = other[torch.randint(len(other), ())]
        return self.images[index], self.images[positive], self.images[negative]


def placed(pictures):
    """Digits (count, 8, 8) somewhere on noisy pictures (count, 1, 9, 9), about 0 to 1."""
    canvas = 0.1 * torch.randn(len(pictures), 1, 9, 9)
    for picture, digit in zip(canvas, pictures, strict=True):
        top, left = torch.randint(0, 2, (2,)).tolist()
        picture[0, top : top + 8, left : left + 8] += digit
    return canvas


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * width * 9, features)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.normalize(self.fc(self.drop(x.flatten(1))), dim=1)


def triplet_loss(anchor, positive, negative):
    near = (anchor - positive).pow(2).sum(1)
    far = (anchor - negative).pow(2).sum(1)
    return F.relu(near - far + margin).mean()


torch.manual_seed(seed)
data = np.load("digits.npz")
images = placed(torch.tensor(data["x"], dtype=torch.float32).view(-1, 8, 8) / 16)
labels = torch.tensor(data["y"])
order = torch.randperm(len(labels))
train_set = Triplets(images[order[:rows]], labels[order[:rows]])
val_set = Triplets(images[order[-500:]], labels[order[-500:]])
train_loader = DataLoader(train_set, batch, shuffle=True, drop_last=True)
val_loader = DataLoader(val_set, 100)
model = Encoder()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train_loader)
scheduler = None


def validate():
    model.eval()
    losses = []
    with torch.no_grad():
        for anchor, positive, negative in val_loader:
            losses.append(triplet_loss(model(anchor), model(positive), model(negative)).item())
    return sum(losses) / len(losses)


def precision():
    """How many of the five nearest neighbours of a picture, of those kept for validation, are the same digit."""
    model.eval()
    with torch.no_grad():
        places = model(val_set.images)
    distances = torch.cdist(places, places).fill_diagonal_(float("inf"))
    nearest = distances.topk(5, largest=False).indices
    return (val_set.labels[nearest] == val_set.labels[:, None]).float().mean().item()


for epoch in range(epochs):
    model.train()
    for anchor, positive, negative in train_loader:
        loss = triplet_loss(model(anchor), model(positive), model(negative))
        optimizer.zero_grad()
        update(loss)
    print(f"epoch {epoch}: loss {loss.item():.4f}, val {validate():.4f}, precision at 5 {precision():.3f}")
print("score", precision())
