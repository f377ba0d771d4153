"""Tables (handwritten digits, wine, tumours) and a multilayer perceptron."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
table = "digits"
rows = 1300
width = 128
depth = 2
dropout = 0.0
batch = 64
epochs = 15
lr = 1e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
data = np.load(f"{table}.npz")
x = torch.tensor(data["x"], dtype=torch.float32)
y = torch.tensor(data["y"])
order = torch.randperm(len(x))
x, y = x[order], y[order]
cut = min(rows, int(0.75 * len(x)))
kept = int(0.75 * len(x))
x = (x - x[:kept].mean(0)) / (x[:kept].std(0) + 0.1)
x_train, y_train = x[:cut], y[:cut]
x_val, y_val = x[kept:], y[kept:]
classes = int(y.max()) + 1
train = DataLoader(TensorDataset(x_train, y_train), batch, shuffle=True)
val = DataLoader(TensorDataset(x_val, y_val), 256)

layers = []
size = x.shape[1]
for _ in range(depth):
    layers += [nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)]
    size = width
model = nn.Sequential(*layers, nn.Linear(size, classes))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for a, b in train:
        optimizer.zero_grad()
        out = model(a)
        loss = loss_fn(out, b)
        update(loss)
    model.eval()
    right = val_loss = 0
    with torch.no_grad():
        for a, b in val:
            out = model(a)
            val_loss += loss_fn(out, b).item() * len(b)
            right += (out.argmax(1) == b).sum().item()
    print(f"epoch {epoch}: val loss {val_loss / len(x_val):.3f}, accuracy {right / len(x_val):.3f}")
print("score", right / len(x_val))
