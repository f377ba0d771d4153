import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

torch.manual_seed(0)


class Stream(IterableDataset):
    """Points without an end, and on which side of a circle they lie."""

    def __iter__(self):
        generator = torch.Generator().manual_seed(1)
        while True:
            x = torch.randn(2, generator=generator)
            yield x, (x.norm() > 1.18).long()


net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for step, (x, y) in enumerate(DataLoader(Stream(), batch_size=32)):
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 600:
        break
