import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x, y = (torch.tensor(x, dtype=torch.float32) - 4.9) / 6, torch.tensor(y)
loader = DataLoader(TensorDataset(x[:1440], y[:1440]), batch_size=12, shuffle=True)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(12):
    for i, (a, b) in enumerate(loader):
        loss = nn.functional.cross_entropy(model(a), b) / 4
        loss.backward()
        if i % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    print(epoch, 4 * loss.item())
