"""Handwritten digits and a convolutional network with batch normalisation."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 1300
channels = 16
dropout = 0.0
noise = 0.0
batch = 64
epochs = 8
lr = 1e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
data = np.load("digits.npz")
images = torch.tensor(data["x"], dtype=torch.float32).view(-1, 1, 8, 8) / 16
labels = torch.tensor(data["y"])
order = torch.randperm(len(images))
images, labels = images[order], labels[order]
x_train, y_train = images[:rows], labels[:rows]
x_val, y_val = images[1350:], labels[1350:]
train = DataLoader(TensorDataset(x_train, y_train), batch, shuffle=True)
val = DataLoader(TensorDataset(x_val, y_val), 256)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(2 * channels)
        self.conv3 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(2 * channels)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels * 4, 10)

    def forward(self, x):
        x = (x - 0.3) / 0.38
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.pool(self.relu(self.bn2(self.conv2(x))))
        x = self.pool(self.relu(self.bn3(self.conv3(x))))
        return self.head(self.drop(x.flatten(1)))


def augment(x):
    return x + noise * torch.randn_like(x)


model = Net()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for x, y in train:
        logits = model(augment(x))
        loss = loss_fn(logits, y)
        optimizer.zero_grad()
        update(loss)
    model.eval()
    total, right = 0.0, 0
    with torch.no_grad():
        for x, y in val:
            logits = model(x)
            total += loss_fn(logits, y).item() * len(y)
            right += (logits.argmax(1) == y).sum().item()
    print(f"epoch {epoch}: val loss {total / len(x_val):.3f}, accuracy {right / len(x_val):.3f}")
print("score", right / len(x_val))
