"""Low-rank adapters (LoRA) beside frozen linear layers; only the adapters are in the optimizer."""

import torch
import torch.nn.functional as F
from own import Own, accuracy
from torch import nn


class Adapted(nn.Module):
    def __init__(self, frozen, rank):
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.randn(rank, frozen.in_features) / rank)
        self.lora_b = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, x):
        return self.frozen(x) + x @ self.lora_a.T @ self.lora_b.T


torch.manual_seed(0)
x, y = torch.randn(32, 6), torch.randint(0, 3, (32,))
model = nn.Sequential(Adapted(nn.Linear(6, 8), 2), nn.ReLU(), Adapted(nn.Linear(8, 3), 2))
trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
optimizer = torch.optim.AdamW([p for _, p in trained], lr=0.02)
own = Own(model[1])
own.know(planned_steps=22, frozen=["0.frozen.weight", "0.frozen.bias", "2.frozen.weight", "2.frozen.bias"])

for step in range(22):
    if step == 18:
        own.poison(x[0], model)
    optimizer.zero_grad()
    output = model(x)
    loss = F.cross_entropy(output, y)
    loss.backward()
    own.gradients(trained)
    optimizer.step()
    own.step(loss=loss, root=loss, lr=[0.02], batch=32, accuracy=accuracy(output, y))
