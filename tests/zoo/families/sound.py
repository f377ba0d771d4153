"""Which sound is it? Tones, sweeps, warbles, clicks and hiss, told from the raw signal by strided convolutions."""

import copy
import itertools
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 500
length = 400
noise = 0.4
channels = 12
dropout = 0.0
decay = 0.0
batch = 32
accumulate = 1
epochs = 7
lr = 5e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)


def sounds(count):
    """Signals (count, 1, length) at 4 kHz and which of six kinds each is."""
    kinds, t = torch.randint(0, 6, (count,)), torch.arange(length) / 4000
    pitch, phase = 200 + 800 * torch.rand(count, 1), 2 * math.pi * torch.rand(count, 1)
    bend = 5000 * (1 + torch.rand(count, 1))
    tone = (2 * math.pi * pitch * t + phase).sin()
    forms = [
        tone,
        (2 * math.pi * (pitch * t + bend * t**2) + phase).sin(),
        (2 * math.pi * ((pitch + 600) * t - bend * t**2) + phase).sin(),
        (2 * math.pi * pitch * t + 6 * (80 * t * (1 + 0.3 * torch.rand(count, 1))).sin()).sin(),
        3 * (tone > 0.97).float(),
        torch.randn(count, length),
    ]
    clean = torch.stack(forms)[kinds, torch.arange(count)]
    return (clean + noise * torch.randn(count, length))[:, None], kinds


class Sounds(Dataset):
    def __init__(self, count, volume=False):
        self.x, self.y = sounds(count)
        self.volume = volume

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        loud = 0.5 + torch.rand(()) if self.volume else 1.0
        return loud * self.x[i], self.y[i]


class Ear(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for inside, outside in itertools.pairwise([1, channels, 2 * channels, 2 * channels]):
            layers += [nn.Conv1d(inside, outside, 9, stride=3, padding=4), nn.BatchNorm1d(outside), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels, 6)

    def forward(self, x):
        return self.head(self.drop(self.layers(x).amax(2)))


class Trainer:
    """Trains in bfloat16, steps after a few batches, keeps a running average, and lowers the rate after each epoch."""

    def __init__(self, model, optimizer, scheduler, train, val):
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.train, self.val = train, val
        self.average = copy.deepcopy(model).requires_grad_(False) if decay else model
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, model, x):
        with torch.autocast("cpu", torch.bfloat16):
            return model(x).float()

    def epoch(self):
        self.model.train()
        for k, (x, y) in enumerate(self.train):
            loss = self.criterion(self.forward(self.model, x), y)
            (loss / accumulate).backward()
            if (k + 1) % accumulate == 0:
                self.step()
        if self.scheduler:
            self.scheduler.step()
        return loss.item()

    def step(self):
        if clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if decay:
            for old, new in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
                old.copy_(decay * old + (1 - decay) * new)

    @torch.no_grad()
    def validate(self):
        self.average.eval()
        losses, hits = [], []
        for x, y in self.val:
            out = self.forward(self.average, x)
            losses.append(self.criterion(out, y).item())
            hits.append((out.argmax(1) == y).float().mean().item())
        return sum(losses) / len(losses), sum(hits) / len(hits)


train = DataLoader(Sounds(rows, volume=True), batch, shuffle=True, drop_last=True)
val = DataLoader(Sounds(400), 200)
model = Ear()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs
scheduler = None
trainer = Trainer(model, optimizer, scheduler, train, val)

for epoch in range(epochs):
    loss = trainer.epoch()
    val_loss, accuracy = trainer.validate()
    print(f"epoch {epoch}: loss {loss:.3f}, val {val_loss:.3f}, accuracy {accuracy:.3f}")
print("score", accuracy)
