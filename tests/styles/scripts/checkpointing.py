"""Activation checkpointing: the block is run again in the backward pass."""

import sys

import torch
import torch.nn.functional as F
from own import Own, accuracy
from torch import nn
from torch.utils.checkpoint import checkpoint


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(5, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(checkpoint(self.block, self.stem(x), use_reentrant=sys.argv[1] == "reentrant"))


torch.manual_seed(0)
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
own = Own()
own.know(planned_steps=22)

for step in range(22):
    if step == 18:
        own.poison(x[0], model)
    optimizer.zero_grad()
    output = model(x)
    loss = F.cross_entropy(output, y)
    loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    own.step(loss=loss, root=loss, lr=[0.1], batch=32, accuracy=accuracy(output, y))
