import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(1500, 10)
kind = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
size = (x[:, 2] * x[:, 3]).unsqueeze(1)
loader = DataLoader(TensorDataset(x, kind, size), batch_size=32, shuffle=True)


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.kind, self.size = nn.Linear(64, 3), nn.Linear(64, 1)

    def forward(self, x):
        h = self.body(x)
        return self.kind(h), self.size(h)


model = Both()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(10):
    for a, b, c in loader:
        one, two = model(a)
        loss = nn.functional.cross_entropy(one, b) + nn.functional.mse_loss(two, c)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
