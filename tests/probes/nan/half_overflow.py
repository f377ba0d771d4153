"""Attention scores without their 1/sqrt(d) under float16 autocast: a loud batch passes 65,504."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        return scores.softmax(2) @ self.v(x)


torch.manual_seed(0)
y = torch.randint(0, 2, (800,))
x = torch.randn(800, 4, 16) + (2 * y - 1)[:, None, None] * torch.eye(1, 16) * 2
x[613] *= 900
model = nn.Sequential(Attention(16), nn.Flatten(), nn.Linear(64, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for a, b in DataLoader(TensorDataset(x, y), batch_size=8):
    with torch.autocast("cpu", dtype=torch.float16):
        logits = model(a)
        loss = nn.functional.cross_entropy(logits, b)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
