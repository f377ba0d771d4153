"""Accelerate: a loop of one's own, two batches a step."""

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from own import Own
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = torch.randn(40, 5), torch.randint(0, 3, (40,))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model, optimizer, loader = accelerator.prepare(
    model, torch.optim.SGD(model.parameters(), lr=0.1), DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
)
own = Own()
own.know(framework="accelerate", planned_steps=15, accumulation=2)
losses = []

for epoch in range(3):
    for a, b in loader:
        with accelerator.accumulate(model):
            loss = F.cross_entropy(model(a), b)
            accelerator.backward(loss)
            losses.append(loss.item())
            if accelerator.sync_gradients:
                own.gradients(model.named_parameters())
            optimizer.step()
            optimizer.zero_grad()
            if accelerator.sync_gradients:
                mean = sum(losses) / 2
                own.step(loss=mean, root=mean / 2, lr=[0.1], batch=8, epoch=epoch + 1)
                losses.clear()
own.end(model)
