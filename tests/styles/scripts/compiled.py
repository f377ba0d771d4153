"""torch.compile of the model, or of the loss too; dynamo counts the graphs that it made and why they ended."""

import sys

import torch
import torch.nn.functional as F
from own import Own
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(0)
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
backend, what = sys.argv[1:]
compiled = torch.compile(model, backend=backend)
score = torch.compile(F.cross_entropy, backend=backend) if what == "both" else F.cross_entropy
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
own = Own()
own.know(planned_steps=21, compiled=True)

for step in range(21):
    optimizer.zero_grad()
    loss = score(compiled(x), y)
    loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    own.step(loss=loss, root=loss, lr=[0.1])
    if step % 10 == 5:
        model.eval()
        with torch.no_grad():
            own.validated(score(compiled(x[8:16]), y[8:16]), 8)
        model.train()
own.know(dynamo={kind: dict(counts) for kind, counts in counters.items() if kind in ("frames", "stats", "graph_break")})
own.end(model)
