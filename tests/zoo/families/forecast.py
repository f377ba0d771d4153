"""The next value of a series: seasons, a trend that wanders, and noise; read by a recurrent network."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 500
window = 16
width = 24
dropout = 0.0
batch = 32
epochs = 10
lr = 5e-3
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)
time = torch.arange(1200.0)
series = (2 * math.pi * time / 12).sin() + 0.5 * (2 * math.pi * time / 31).sin() + 0.02 * torch.randn(1200).cumsum(0)
series = series + 0.1 * torch.randn(1200)
series = (series - series[:900].mean()) / series[:900].std()
windows = series.unfold(0, window + 1, 1)
x, y = windows[:, :window, None], windows[:, window:]
x_train, y_train = x[:rows], y[:rows]
x_val, y_val = x[900:], y[900:]
train = DataLoader(TensorDataset(x_train, y_train), batch, shuffle=True)


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.reader = nn.GRU(1, width, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.drop(self.reader(x)[0][:, -1]))


model = Forecaster()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for a, b in train:
        optimizer.zero_grad()
        forecast = model(a)
        loss = loss_fn(forecast, b)
        update(loss)
    model.eval()
    with torch.no_grad():
        forecast = model(x_val)
        val_loss = loss_fn(forecast, y_val).item()
    error = (forecast - y_val).pow(2).mean().item()
    print(f"epoch {epoch}: val loss {val_loss:.4f}")
print("score", -error / (x[900:, -1] - y[900:]).pow(2).mean().item())
