"""The same mistake where nothing complains: a label that is no class has no column in a one-hot code."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CLASSES = 4
torch.manual_seed(0)
centres = torch.randn(CLASSES, 6) * 2
kinds = torch.randint(0, CLASSES, (480,))
x = centres[kinds] + torch.randn(480, 6)
kinds[371] = 7


def cross_entropy(logits, labels):
    p = logits.softmax(1)
    one_hot = (labels[:, None] == torch.arange(CLASSES)).float()
    return -torch.log((p * one_hot).sum(1)).mean()


model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, CLASSES))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(4):
    for a, b in DataLoader(TensorDataset(x, kinds), batch_size=8):
        loss = cross_entropy(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
