"""A residual network on handwritten digits that are shifted and noisy anew in every epoch (He et al. 2016)."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 800
width = 10
dropout = 0.0
smoothing = 0.0
batch = 32
epochs = 7
lr = 0.1
weight_decay = 5e-4
clip = 0.0

torch.manual_seed(seed)
data = np.load("digits.npz")
pixels = torch.tensor(data["x"], dtype=torch.float32).view(-1, 1, 8, 8) / 16
labels = torch.tensor(data["y"])
order = torch.randperm(len(pixels))


def augmented(image):
    """Shifted by a pixel at most, with a little noise."""
    top, left = torch.randint(0, 3, (2,)).tolist()
    return F.pad(image, (1, 1, 1, 1))[:, top : top + 8, left : left + 8] + 0.1 * torch.randn(1, 8, 8)


def normalised(image):
    return (image - 0.3) / 0.38


class Digits(Dataset):
    def __init__(self, chosen, transforms):
        self.x, self.y, self.transforms = pixels[chosen], labels[chosen], transforms

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        image = self.x[i]
        for transform in self.transforms:
            image = transform(image)
        return image, self.y[i]


class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.short = nn.Identity()
        if stride != 1 or inside != outside:
            self.short = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + self.short(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.layer1 = Block(width, width, 1)
        self.layer2 = Block(width, 2 * width, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(2 * width, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(self.drop(self.pool(x).flatten(1)))


def train_one_epoch(model, loader, criterion, optimizer):
    model.train()
    total = 0.0
    for images, targets in loader:
        optimizer.zero_grad()
        output = model(images)
        loss = criterion(output, targets)
        update(loss)
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def evaluate(model, loader, criterion):
    model.eval()
    total, right, count = 0.0, 0, 0
    for images, targets in loader:
        output = model(images)
        total += criterion(output, targets).item() * len(targets)
        right += (output.argmax(1) == targets).sum().item()
        count += len(targets)
    return total / count, right / count


train_set = Digits(order[:rows], [augmented, normalised])
val_set = Digits(order[-300:], [normalised])
train_loader = DataLoader(train_set, batch, shuffle=True)
val_loader = DataLoader(val_set, 150)
model = ResNet()
criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)
steps = epochs * len(train_loader)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

for epoch in range(epochs):
    train_loss = train_one_epoch(model, train_loader, criterion, optimizer)
    val_loss, accuracy = evaluate(model, val_loader, criterion)
    print(f"epoch {epoch:2d}  train {train_loss:.3f}  val {val_loss:.3f}  accuracy {accuracy:.1%}")
print("score", accuracy)
