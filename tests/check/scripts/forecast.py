import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
t = torch.arange(3000.0)
series = torch.sin(t / 9) + 0.4 * torch.sin(t / 31 + 1) + 0.1 * torch.randn(3000)


class Windows(Dataset):
    def __init__(self, values, width=24):
        self.values, self.width = values, width

    def __len__(self):
        return len(self.values) - self.width

    def __getitem__(self, i):
        return self.values[i : i + self.width], self.values[i + self.width : i + self.width + 1]


train_dl = DataLoader(Windows(series[:2400]), batch_size=64, shuffle=True)
val_dl = DataLoader(Windows(series[2400:]), batch_size=200)
model = nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 1))
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(12):
    for x, y in train_dl:
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        opt.step()
    with torch.no_grad():
        print(epoch, sum(nn.functional.mse_loss(model(x), y).item() for x, y in val_dl))
