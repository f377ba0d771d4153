"""House prices from size and age, by gradient descent: slow at 4e-5, and then with more than this curvature bears."""

import torch
from torch import nn

torch.manual_seed(0)
size, age = torch.rand(256) * 150 + 50, torch.rand(256) * 80
x = torch.stack([size, age], 1)
y = (3.1 * size - 1.2 * age + 40 + 5 * torch.randn(256)).unsqueeze(1)

model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=4e-5)
for step in range(400):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    if step == 100:  # "it learns so slowly"
        optimizer.param_groups[0]["lr"] = 3e-4
