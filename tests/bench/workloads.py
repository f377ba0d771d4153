"""What the cost of the probes is measured on: four models of a few hundred microseconds to some ten milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


def mlp() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    return model, torch.randn(64, 64), torch.randint(0, 10, (64,))


def cnn() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return model, torch.randn(8, 3, 32, 32), torch.randint(0, 10, (8,))


class Language(nn.Module):
    """A decoder of 4 layers, d = 256, 512 tokens: 3.4 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(512, 256)
        layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(256, 512)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        hidden: torch.Tensor = self.head(self.layers(self.embedding(tokens), mask=mask, is_causal=True))
        return hidden.flatten(0, 1)


def transformer() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    return Language(), torch.randint(0, 512, (2, 32)), torch.randint(0, 512, (64,))


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU()
        self.stride, self.more = stride, after - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.second(self.relu(self.norm1(self.first(x)))))
        x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        out: torch.Tensor = self.relu(x + y)
        return out


def resnet20() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    widths = [16] * 4 + [32] * 3 + [64] * 3
    blocks = [Block(a, b, 1 + (a != b)) for a, b in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return model, torch.randn(4, 3, 32, 32), torch.randint(0, 10, (4,))


WORKLOADS: dict[str, tuple[str, Callable[[], Any]]] = {
    "mlp": ("MLP 64-128-128-10", mlp),
    "cnn": ("CNN 32x32", cnn),
    "transformer": ("transformer d=256", transformer),
    "resnet20": ("ResNet-20", resnet20),
}


CROSS_ENTROPY, BACKWARD = F.cross_entropy, torch.autograd.backward


class Loop:
    """One model and its optimizer. A bare step calls what was there when this file was loaded, before any patch."""

    def __init__(self, workload: str) -> None:
        torch.manual_seed(0)
        self.model, self.x, self.y = WORKLOADS[workload][1]()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4)

    def bare(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = CROSS_ENTROPY(self.model(self.x), self.y)
        BACKWARD(loss)
        self.optimizer.step()
        return loss

    def step(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(self.x), self.y)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss
