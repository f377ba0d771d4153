"""The gradient is clipped to a norm of 0.5."""

import torch
import torch.nn.functional as F
from own import Own
from torch import nn

torch.manual_seed(0)
x, y = 3 * torch.randn(32, 5), torch.randint(0, 3, (32,))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
own = Own(model[1])
own.know(planned_steps=20)

for step in range(20):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    own.gradients(model.named_parameters())
    optimizer.step()
    own.step(loss=loss, root=loss, lr=[0.1], batch=32, before_clip=norm, clip=0.5)
own.end(model)
