"""Pictures of numbers and their words, brought together by two encoders and a softmax over the batch (CLIP)."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 1500
width = 64
size = 32
dropout = 0.0
temperature = 0.1
batch = 48
epochs = 6
lr = 5e-3
weight_decay = 1e-4
clip = 0.0

torch.manual_seed(seed)
WORDS = ["nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "and", "a", "picture", "of"]
data = np.load("digits.npz")
order = torch.randperm(len(data["x"]))
digits = torch.tensor(data["x"], dtype=torch.float32)[order].view(-1, 8, 8) / 16
labels = torch.tensor(data["y"])[order]


class Pairs(Dataset):
    """Two digits side by side (1, 8, 16), and "a picture of seven and three" as the numbers of its words (6,)."""

    def __init__(self, count, digits, labels):
        self.drawn = torch.randint(len(digits), (count, 2))
        self.digits, self.labels = digits, labels

    def __len__(self):
        return len(self.drawn)

    def __getitem__(self, i):
        left, right = self.drawn[i]
        image = torch.cat([self.digits[left], self.digits[right]], 1)[None]
        first, second = self.labels[left].item(), self.labels[right].item()
        return image - 0.3, torch.tensor([11, 12, 13, first, 10, second])


class Eye(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.hidden = nn.Linear(16 * 4 * 8, width)
        self.drop = nn.Dropout(dropout)
        self.project = nn.Linear(width, size)

    def forward(self, image):
        x = F.max_pool2d(F.relu(self.conv(image)), 2).flatten(1)
        return F.normalize(self.project(self.drop(F.relu(self.hidden(x)))), dim=1)


class Tongue(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(WORDS), 16)
        self.hidden = nn.Linear(6 * 16, width)
        self.project = nn.Linear(width, size)

    def forward(self, words):
        return F.normalize(self.project(F.relu(self.hidden(self.embed(words).flatten(1)))), dim=1)


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.eye, self.tongue = Eye(), Tongue()

    def forward(self, image, words):
        """How near every picture (rows) is to every text (columns)."""
        return self.eye(image) @ self.tongue(words).T / temperature


def info_nce(logits):
    """Each picture among the texts of its batch, and each text among its pictures."""
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


train = DataLoader(Pairs(rows, digits[:1300], labels[:1300]), batch, shuffle=True, drop_last=True)
val = DataLoader(Pairs(240, digits[1300:], labels[1300:]), 60)
model = Clip()
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for image, words in train:
        logits = model(image, words)
        loss = info_nce(logits)
        optimizer.zero_grad()
        update(loss)
    model.eval()
    val_loss, recall = 0.0, 0.0
    with torch.no_grad():
        for image, words in val:
            logits = model(image, words)
            val_loss += info_nce(logits).item() / len(val)
            recall += (logits.argmax(1) == torch.arange(len(logits))).float().mean().item() / len(val)
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}, recall@1 {recall:.3f}")
print("score", recall)
