import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

torch.manual_seed(0)
data = (torch.tensor(load_digits().data, dtype=torch.float32) - 4.9) / 6
loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)
encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
for epoch in range(10):
    for x in loader:
        a = F.normalize(encoder(x + 0.2 * torch.randn_like(x)), dim=1)
        b = F.normalize(encoder(x + 0.2 * torch.randn_like(x)), dim=1)
        loss = F.cross_entropy(a @ b.T / 0.2, torch.arange(len(x)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
