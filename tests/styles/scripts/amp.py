"""Autocast with a gradient scaler that overflows twice: two steps are skipped."""

import sys

import torch
import torch.nn.functional as F
from own import Own
from torch import nn

torch.manual_seed(0)
dtype = getattr(torch, sys.argv[1])
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=8)
own = Own(model[1])
own.know(amp=True)
skipped = 0

for i in range(24):
    scale = scaler.get_scale()
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=dtype):
        loss = F.cross_entropy(model(x), y)
    scaler.scale(loss).backward()
    if i in (5, 11):
        model[0].weight.grad[0, 0] = float("inf")
    scaler.unscale_(optimizer)
    finite = all(p.grad.isfinite().all() for p in model.parameters())
    if finite:
        own.gradients(model.named_parameters())
    scaler.step(optimizer)
    scaler.update()
    if finite:
        own.step(loss=loss, root=loss * scale, lr=[0.1], batch=32, skipped=skipped, scale=scale)
        skipped = 0
    else:
        skipped += 1
own.end(model)
