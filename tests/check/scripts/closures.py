import torch
from torch import nn

torch.manual_seed(0)
x = torch.linspace(-2, 2, 200)[:, None]
y = torch.sin(2 * x)
model = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    return loss


for step in range(120):
    loss = optimizer.step(closure)
print(loss.item())
