"""torch.func: gradients of a function of the parameters, of the batch or of each sample, and an update by hand."""

import sys

import torch
import torch.nn.functional as F
from own import Own
from torch import nn
from torch.func import functional_call, grad, grad_and_value, vmap

torch.manual_seed(0)
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
params = {name: p.detach() for name, p in model.named_parameters()}


def loss_of(params, a, b):
    return F.cross_entropy(functional_call(model, params, (a,)), b)


def loss_of_one(params, a, b):
    return loss_of(params, a[None], b[None])


own = Own()
own.know(planned_steps=21)
for step in range(21):
    loss = loss_of(params, x, y) if sys.argv[1] == "grad" else None
    if sys.argv[1] == "grad":
        grads = grad(loss_of)(params, x, y)
    elif sys.argv[1] == "grad_and_value":
        grads, loss = grad_and_value(loss_of)(params, x, y)
    else:
        each, losses = vmap(grad_and_value(loss_of_one), in_dims=(None, 0, 0))(params, x, y)
        grads, loss = {name: g.mean(0) for name, g in each.items()}, losses.mean()
    params = {name: p - 0.1 * grads[name] for name, p in params.items()}
    own.step(loss=loss, root=loss, gradient=torch.cat([g.flatten() for g in grads.values()]).norm())
own.end(list(params.values()))
