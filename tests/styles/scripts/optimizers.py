"""The optimizer: one of torch's, in each of its ways, a subclass, and one that only looks like an optimizer."""

import sys

import torch
import torch.nn.functional as F
from own import Own
from torch import nn


class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(p.grad.sign(), alpha=-group["lr"])


class Duck:
    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    @torch.no_grad()
    def step(self):
        for p in self.params:
            p -= self.lr * p.grad

    def zero_grad(self):
        for p in self.params:
            p.grad = None


torch.manual_seed(0)
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = {
    "fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "groups": lambda p: torch.optim.SGD([{"params": [*p][:2]}, {"params": model[2].parameters(), "lr": 0.1}], lr=0.01),
    "subclass": lambda p: Signs(p, lr=0.01),
    "duck-typed": lambda p: Duck(p, lr=0.01),
}[sys.argv[1]](model.parameters())
own = Own(model[1])
own.know(planned_steps=22)

for step in range(22):
    if step == 18:
        own.poison(x[0], model)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    lr = [group["lr"] for group in optimizer.param_groups] if hasattr(optimizer, "param_groups") else [0.01]
    own.step(loss=loss, root=loss, lr=lr, batch=32)
