"""Model and loss are TorchScript."""

import torch
import torch.nn.functional as F
from own import Own
from torch import nn


@torch.jit.script
def score(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output, target)


torch.manual_seed(0)
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
model = torch.jit.script(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
own = Own()
own.know(planned_steps=21)

for step in range(21):
    optimizer.zero_grad()
    loss = score(model(x), y)
    loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    own.step(loss=loss, root=loss, lr=[0.1])
own.know(model=["Sequential", sum(p.numel() for p in model.parameters())])
own.end(list(model.parameters()))
