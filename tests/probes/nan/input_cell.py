"""A table of measurements, one cell of which was empty in the file."""

import io

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
table = rng.normal(size=(640, 8))
table[:, 7] = table[:, 0] + table[:, 3] > 0
lines = [",".join(f"{cell:.4f}" for cell in row) for row in table]
cells = lines[417].split(",")
lines[417] = ",".join([*cells[:5], "", *cells[6:]])
table = np.genfromtxt(io.StringIO("\n".join(lines)), delimiter=",", dtype=np.float32)

torch.manual_seed(0)
data = TensorDataset(torch.from_numpy(table[:, :7]), torch.from_numpy(table[:, 7]).long())
model = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(3):
    for features, labels in DataLoader(data, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(features), labels)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
