"""Digits as sets of points, without order: a small PointNet (Qi et al. 2017) over where the ink is."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 800
points = 32
width = 48
dropout = 0.2
batch = 32
epochs = 9
lr = 3e-3
weight_decay = 0.0
clip = 0.0


class Clouds(Dataset):
    """Points (points, 2) drawn where a digit is dark, about -1 to 1, and which digit it is."""

    def __init__(self, images, labels, jitter):
        self.images, self.labels, self.jitter = images, labels, jitter
        places = torch.multinomial(images, points, replacement=True)
        self.places = torch.stack([places % 8, places // 8], 2).float()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        cloud = (self.places[i] - 3.5) / 2.3
        if self.jitter:
            cloud = cloud + self.jitter * torch.randn(points, 2)
        return cloud, self.labels[i]


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(
            nn.Conv1d(2, width, 1), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, width, 1), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Conv1d(width, 2 * width, 1),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Linear(2 * width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10)
        )

    def forward(self, cloud):
        return self.head(self.each(cloud.transpose(1, 2)).amax(2))


torch.manual_seed(seed)
data = np.load("digits.npz")
order = torch.randperm(len(data["x"]))
images, labels = torch.tensor(data["x"], dtype=torch.float32)[order], torch.tensor(data["y"])[order]
train_set = Clouds(images[:rows], labels[:rows], jitter=0.15)
val_set = Clouds(images[-400:], labels[-400:], jitter=0)
train_loader = DataLoader(train_set, batch, shuffle=True, drop_last=True)
val_loader = DataLoader(val_set, 200)
model = PointNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train_loader)
scheduler = None


def train():
    model.train()
    for cloud, label in train_loader:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(cloud), label)
        update(loss)
    return loss.item()


@torch.inference_mode()
def evaluate():
    model.eval()
    losses, right = [], 0
    for cloud, label in val_loader:
        out = model(cloud)
        losses.append(criterion(out, label).item())
        right += (out.argmax(1) == label).sum().item()
    return sum(losses) / len(losses), right / len(val_set)


def main():
    for epoch in range(epochs):
        loss = train()
        val_loss, accuracy = evaluate()
        print(f"[{epoch + 1}/{epochs}] loss {loss:.3f} val {val_loss:.3f} accuracy {accuracy:.3f}")
    print("score", accuracy)


if __name__ == "__main__":
    main()
