import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x, y = (torch.tensor(x, dtype=torch.float32) - 4.9) / 6, torch.tensor(y)
body = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
head = nn.Linear(128, 10)
for parameter in body.parameters():
    parameter.requires_grad = False
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
model = nn.Sequential(body, head)
for epoch in range(8):
    for a, b in loader:
        loss = nn.functional.cross_entropy(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
