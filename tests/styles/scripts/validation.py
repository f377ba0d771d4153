"""Validation done right, and with each of the two things that are forgotten."""

import sys
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from own import Own, accuracy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

forgotten = sys.argv[1]
torch.manual_seed(0)
x, y = torch.randn(48, 5), torch.randint(0, 3, (48,))
loader = DataLoader(TensorDataset(x[:32], y[:32]), batch_size=8, shuffle=True)
val_loader = DataLoader(TensorDataset(x[32:], y[32:]), batch_size=8)
model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
own = Own(model[2])
own.know(
    planned_steps=20,
    mode_val=float(forgotten in ("eval", "both")),
    grad_val=float(forgotten in ("no_grad", "both")),
)

for epoch in range(5):
    model.train()
    for a, b in loader:
        optimizer.zero_grad()
        output = model(a)
        loss = F.cross_entropy(output, b)
        loss.backward()
        own.gradients(model.named_parameters())
        optimizer.step()
        own.step(loss=loss, root=loss, lr=[0.1], batch=8, epoch=epoch + 1, accuracy=accuracy(output, b))
    if forgotten not in ("eval", "both"):
        model.eval()
    guards = {"no_grad": nullcontext, "both": nullcontext, "inference": torch.inference_mode}
    with guards.get(forgotten, torch.no_grad)():
        for a, b in val_loader:
            output = model(a)
            own.validated(F.cross_entropy(output, b), len(a), accuracy(output, b))
own.end(model)
