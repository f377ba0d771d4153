"""Four micro-batches to a step, the loss divided by four."""

import torch
import torch.nn.functional as F
from own import Own
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = torch.randn(64, 5), torch.randint(0, 3, (64,))
loader = DataLoader(TensorDataset(x, y), batch_size=4)
model = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
own = Own()
own.know(planned_steps=20, steps_per_epoch=4, accumulation=4)

for epoch in range(5):
    losses = []
    for i, (a, b) in enumerate(loader):
        loss = F.cross_entropy(model(a), b)
        (loss / 4).backward()
        losses.append(loss.item())
        if (i + 1) % 4 == 0:
            own.gradients(model.named_parameters())
            optimizer.step()
            optimizer.zero_grad()
            own.step(loss=sum(losses) / 4, root=sum(losses) / 16, lr=[0.1], batch=16, epoch=epoch + 1)
            losses.clear()
own.end(model)
