"""Adam without its eps, and a pixel at the border that is always black: 0 / 0."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.rand(320, 16)
x[:, 0] = 0
y = (x[:, 1:].sum(1) > 7.5).long()
model = nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=0)
for a, b in DataLoader(TensorDataset(x, y), batch_size=32):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(a), b)
    loss.backward()
    optimizer.step()
