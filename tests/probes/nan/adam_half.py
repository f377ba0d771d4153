"""Adam on float16 weights: squared gradients and eps are both too small for float16, so it divides by 0."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(320, 8)
y = (x[:, :1] - 0.5 * x[:, 1:2]).half()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)).half()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for a, b in DataLoader(TensorDataset(x.half(), y), batch_size=32):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(a), b)
    loss.backward()
    optimizer.step()
