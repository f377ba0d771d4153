import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
THRESHOLD = 0.9
x = torch.randn(4000, 8)
y = (x[:, 0] + 0.7 * x[:, 1] > THRESHOLD).float()
train_loader = DataLoader(TensorDataset(x[:3000], y[:3000]), batch_size=64, shuffle=True)
val_loader = DataLoader(TensorDataset(x[3000:], y[3000:]), batch_size=250)
net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
loss_fn = nn.BCEWithLogitsLoss()
for epoch in range(20):
    for a, b in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(net(a).squeeze(1), b)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(epoch, sum(loss_fn(net(a).squeeze(1), b).item() for a, b in val_loader))
