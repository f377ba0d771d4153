"""How far diabetes goes on within a year: regression on a table of ten measurements."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 342
width = 32
dropout = 0.0
batch = 32
epochs = 30
lr = 3e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
data = np.load("diabetes.npz")
x = torch.tensor(data["x"], dtype=torch.float32)
y = torch.tensor(data["y"], dtype=torch.float32)
order = torch.randperm(len(x))
x, y = x[order], y[order]
x = (x - x[:342].mean(0)) / x[:342].std(0)
y = (y - y[:342].mean()) / y[:342].std()
x_train, y_train, x_val, y_val = x[:rows], y[:rows], x[342:], y[342:]
train = DataLoader(TensorDataset(x_train, y_train), batch, shuffle=True)

model = nn.Sequential(
    nn.Linear(10, width),
    nn.ReLU(),
    nn.Dropout(dropout),
    nn.Linear(width, width),
    nn.ReLU(),
    nn.Linear(width, 1),
    nn.Flatten(0),
)
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for a, b in train:
        out = model(a)
        loss = loss_fn(out, b)
        optimizer.zero_grad()
        update(loss)
    model.eval()
    with torch.no_grad():
        out = model(x_val)
        val_loss = loss_fn(out, y_val)
    r2 = 1 - (out - y_val).pow(2).mean() / y_val.var()
    print(f"epoch {epoch}: val loss {val_loss.item():.3f}, R2 {r2.item():.3f}")
print("score", max(r2.item(), -2.0))
