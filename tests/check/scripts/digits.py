import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X = (torch.tensor(X, dtype=torch.float32) - 4.9) / 6.0
y = torch.tensor(y)
order = torch.randperm(len(X))
train_rows, val_rows = order[:1400], order[1400:]
train_set = TensorDataset(X[train_rows], y[train_rows])
val_set = TensorDataset(X[val_rows], y[val_rows])
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
val_loader = DataLoader(val_set, batch_size=128)
net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(30):
    net.train()
    for x, t in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), t)
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        val_loss = sum(nn.functional.cross_entropy(net(x), t).item() for x, t in val_loader)
    print(epoch, val_loss)
