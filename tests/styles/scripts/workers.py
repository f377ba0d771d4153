"""Batches come from two worker processes, forked or spawned; the loader is made anew for every epoch on request."""

import sys

import torch
import torch.nn.functional as F
from own import Own
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset


class Rows(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        draw = torch.Generator().manual_seed(i)
        return torch.randn(5, generator=draw), i % 3


class Stream(IterableDataset):
    def __iter__(self):
        return iter([Rows()[i] for i in range(40)])


def loader():
    match sys.argv[1]:
        case "stream":
            return DataLoader(Stream(), batch_size=8)
        case "anew":
            return DataLoader(Rows(), batch_size=8, shuffle=True)
        case kind:
            return DataLoader(Rows(), batch_size=8, num_workers=2, multiprocessing_context=kind)


def main():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    own = Own(model[1])
    if sys.argv[1] != "stream":
        own.know(planned_steps=15, steps_per_epoch=5, train_rows=40)
    batches = loader()
    for epoch in range(3):
        if sys.argv[1] == "anew":
            batches = loader()
        for a, b in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(a), b)
            loss.backward()
            own.gradients(model.named_parameters())
            optimizer.step()
            own.step(loss=loss, root=loss, lr=[0.1], batch=8, epoch=epoch + 1)
    own.end(model)


if __name__ == "__main__":
    main()
