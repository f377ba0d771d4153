"""Small classifications for `bench_rate`, each at any learning rate. Also a script: it trains one of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
STEPS = 300


def digits() -> Data:
    """8x8 pixels, ten classes; a quarter is kept for the test."""
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1)
    return _split((images - images.mean()) / images.std(), torch.tensor(found.target))


def tumours() -> Data:
    """Thirty measurements, two classes."""
    found = load_breast_cancer()
    rows = torch.tensor(found.data, dtype=torch.float32)
    return _split((rows - rows.mean(0)) / rows.std(0), torch.tensor(found.target))


def sequences() -> Data:
    """Which of four tokens comes most often among twelve."""
    tokens = torch.randint(0, 4, (2000, 12), generator=torch.Generator().manual_seed(0))
    return _split(tokens, nn.functional.one_hot(tokens, 4).sum(1).argmax(1))


def _split(x: torch.Tensor, y: torch.Tensor) -> Data:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    cut = len(x) * 3 // 4
    return x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 16)
        self.layer = nn.GRU(16, 32, batch_first=True)
        self.out = nn.Linear(32, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(self.layer(self.embedding(tokens))[0][:, -1])
        return out


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 10),
    )  # fmt: skip


def narrow() -> nn.Module:
    return nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))


TASKS: dict[str, tuple[Callable[[], Data], dict[str, Callable[[], nn.Module]]]] = {
    "digits": (digits, {"linear": linear, "perceptron": perceptron, "convolutional": convolutional}),
    "tumours": (tumours, {"narrow": narrow}),
    "sequences": (sequences, {"recurrent": Recurrent}),
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
    "Adam": torch.optim.Adam,
}


def train(task: str, model: str, optimizer: str, rate: float, seed: int = 0, steps: int = STEPS) -> float:
    """Accuracy on the test part after so many steps."""
    torch.manual_seed(seed)
    data, models = TASKS[task]
    x, y, test_x, test_y = data()
    net = models[model]()
    updates = OPTIMIZERS[optimizer](net.parameters(), lr=rate)
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True)
    made = 0
    while made < steps:
        for a, b in loader:
            updates.zero_grad()
            loss = nn.functional.cross_entropy(net(a), b)
            loss.backward()
            updates.step()
            made += 1
            if made == steps:
                break
    net.eval()
    with torch.no_grad():
        return float((net(test_x).argmax(1) == test_y).float().mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("task", "model", "optimizer"):
        parser.add_argument(name)
    parser.add_argument("--lr", type=float, default=1e-3)
    given = parser.parse_args()
    print(train(given.task, given.model, given.optimizer, given.lr))
