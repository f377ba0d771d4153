import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

torch.manual_seed(0)
x = torch.randn(2000, 12)
y = (torch.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:4] + 0.1 * torch.randn(2000, 1)) / 1.3
whole = TensorDataset(x, y)
train_set, val_set = Subset(whole, range(1600)), Subset(whole, range(1600, 2000))
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
val_loader = DataLoader(val_set, batch_size=200)
model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.MSELoss()
epochs = 30
for epoch in range(epochs):
    model.train()
    for a, b in train_loader:
        loss = loss_fn(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(epoch, sum(loss_fn(model(a), b).item() for a, b in val_loader) / len(val_loader))
