"""L-BFGS: the step calls a closure several times; the first loss is the one at the weights before the step."""

import torch
import torch.nn.functional as F
from own import Own
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
model = nn.Linear(5, 3)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
own = Own()
own.know(planned_steps=12)

for step in range(12):
    losses, norms = [], []

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        return loss

    optimizer.step(closure)
    own.step(loss=losses[0], root=losses[0], lr=[0.5], batch=32, gradient=norms[-1])
own.end(model)
