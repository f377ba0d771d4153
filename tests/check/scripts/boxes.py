import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
LEAST, MOST = 10, 20


class Boxes(Dataset):
    """A bright box on noise; the target is its corners in pixels."""

    def __init__(self, n, seed):
        generator = torch.Generator().manual_seed(seed)
        sides = torch.randint(LEAST, MOST, (n, 2), generator=generator)
        corner = (torch.rand(n, 2, generator=generator) * (32 - sides)).long()
        self.boxes = torch.cat([corner, corner + sides], 1).float()
        self.images = 0.3 * torch.randn(n, 1, 32, 32, generator=generator)
        for image, (a, b, c, d) in zip(self.images, self.boxes.long().tolist()):
            image[0, b:d, a:c] += 1

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], self.boxes[i][None]


train_loader = DataLoader(Boxes(500, 1), batch_size=16, shuffle=True)
val_loader = DataLoader(Boxes(200, 2), batch_size=50)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(1024, 64),
    nn.ReLU(),
    nn.Linear(64, 4),
)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(20):
    for x, corners in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), (corners[:, 0] - 16) / 8)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(epoch, sum(nn.functional.mse_loss(net(x), (c[:, 0] - 16) / 8).item() for x, c in val_loader))
