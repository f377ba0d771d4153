"""Handwritten digits, cut into sixteen patches and read by a small vision transformer."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 1300
width = 32
depth = 2
heads = 4
dropout = 0.0
noise = 0.0
batch = 64
epochs = 7
lr = 3e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
data = np.load("digits.npz")
pixels = torch.tensor(data["x"], dtype=torch.float32)
pixels = (pixels - 4.9) / 6.0
labels = torch.tensor(data["y"])
order = torch.randperm(len(pixels))
pixels, labels = pixels[order], labels[order]
x_train, y_train = pixels[:rows], labels[:rows]
x_val, y_val = pixels[1350:], labels[1350:]
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=batch, shuffle=True)
val_loader = DataLoader(TensorDataset(x_val, y_val), batch_size=250)


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.place = nn.Parameter(0.02 * torch.randn(17, width))
        self.start = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        patches = x.view(-1, 4, 2, 4, 2).transpose(2, 3).reshape(-1, 16, 4)
        tokens = torch.cat([self.start.expand(len(x), -1, -1), self.embed(patches)], 1) + self.place
        return self.head(self.norm(self.encoder(tokens)[:, 0]))


def train_one_epoch():
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        logits = model(x + noise * torch.randn_like(x))
        loss = criterion(logits, y)
        update(loss)


def validate():
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in val_loader:
            logits = model(x)
            criterion(logits, y)
            correct += (logits.argmax(1) == y).sum().item()
    return correct / len(x_val)


model = ViT()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train_loader)
scheduler = None

for epoch in range(epochs):
    train_one_epoch()
    accuracy = validate()
    print(f"epoch {epoch}: accuracy {accuracy:.3f}")
print("score", accuracy)
