import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
angle = 6.28 * torch.rand(2000)
points = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(2000, 2)
loader = DataLoader(TensorDataset(points), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(12):
    for (x,) in loader:
        t = torch.rand(len(x), 1)
        noise = torch.randn_like(x)
        noisy = (1 - t).sqrt() * x + t.sqrt() * noise
        loss = nn.functional.mse_loss(model(torch.cat([noisy, t], 1)), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
