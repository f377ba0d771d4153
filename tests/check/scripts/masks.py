import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")


class Discs(Dataset):
    """Bright discs on noise, and where they are."""

    def __init__(self, n, seed, flips):
        generator = torch.Generator().manual_seed(seed)
        centre = torch.randint(3, 13, (n, 2), generator=generator)
        radius = torch.randint(2, 5, (n,), generator=generator)
        away = (rows - centre[:, :1, None]) ** 2 + (columns - centre[:, 1:, None]) ** 2
        self.masks = (away <= radius[:, None, None] ** 2).float()
        self.images = self.masks + 0.5 * torch.randn(n, 16, 16, generator=generator)
        self.flips = flips

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        x, mask = self.images[i], self.masks[i]
        if self.flips and torch.rand(1) < 0.5:
            x, mask = x.flip(-1), mask.flip(-1)
        return x[None], mask[None]


train_loader = DataLoader(Discs(600, 1, True), batch_size=16, shuffle=True)
val_loader = DataLoader(Discs(200, 2, False), batch_size=50)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 16, 5, padding=2),
    nn.ReLU(),
    nn.Conv2d(16, 1, 3, padding=1),
)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
loss_fn = nn.BCEWithLogitsLoss()
for epoch in range(20):
    for x, mask in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(net(x), mask)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(epoch, sum(loss_fn(net(x), mask).item() for x, mask in val_loader))
