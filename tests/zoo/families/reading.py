"""Rows of handwritten digits as they are read: convolutions, a recurrent layer both ways, and CTC over the columns."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 500
longest = 3
width = 24
dropout = 0.0
batch = 16
epochs = 7
lr = 5e-3
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)
data = np.load("digits.npz")
order = torch.randperm(len(data["x"]))
images = torch.tensor(data["x"], dtype=torch.float32)[order].view(-1, 8, 8) / 16
labels = torch.tensor(data["y"])[order] + 1  # 0 is the blank


class Rows(Dataset):
    """Two to ``longest`` digits side by side, with gaps: a picture (8, columns) and the digits (count,) from 1 on."""

    def __init__(self, count, images, labels):
        self.chosen = [torch.randint(len(images), (int(n),)) for n in torch.randint(2, longest + 1, (count,))]
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, i):
        parts = []
        for k in self.chosen[i]:
            parts += [self.images[k], torch.zeros(8, int(torch.randint(1, 4, ())))]
        return torch.cat(parts, 1) - 0.3, self.labels[self.chosen[i]]


def collate(samples):
    pictures, texts = zip(*samples, strict=True)
    columns = torch.tensor([picture.shape[1] for picture in pictures])
    x = torch.full((len(pictures), 8, int(columns.max())), -0.3)
    for row, picture in zip(x, pictures, strict=True):
        row[:, : picture.shape[1]] = picture
    return x, columns, torch.cat(texts), torch.tensor([len(text) for text in texts])


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(8, width, 5, padding=2), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(2))
        self.read = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, 11)

    def forward(self, x):
        """Logarithms of the shares of blank and digits (columns / 2, rows, 11)."""
        read, _ = self.read(self.conv(x).transpose(1, 2))
        return self.head(self.drop(read)).log_softmax(2).transpose(0, 1)


def decode(logs, lengths):
    """The best label of each column, repetitions and blanks taken out."""
    texts = []
    for column, length in zip(logs.argmax(2).T, lengths, strict=True):
        best = torch.unique_consecutive(column[:length])
        texts.append(best[best > 0].tolist())
    return texts


def distance(a, b):
    """Insertions, deletions and changes from one text to another."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (left != right))
    return row[-1]


class Trainer:
    def __init__(self, model, train, val):
        self.model, self.train, self.val = model, train, val
        self.ctc = nn.CTCLoss(blank=0, zero_infinity=True)

    def loss(self, batch):
        x, columns, text, lengths = batch
        logs = self.model(x)
        return self.ctc(logs, text, columns // 2, lengths), logs

    def epoch(self):
        self.model.train()
        total = 0.0
        for batch in self.train:
            loss, _ = self.loss(batch)
            optimizer.zero_grad()
            update(loss)
            total += loss.item() / len(self.train)
        return total

    @torch.no_grad()
    def validate(self):
        """Loss, and errors per letter."""
        self.model.eval()
        total, wrong, letters = 0.0, 0, 0
        for batch in self.val:
            loss, logs = self.loss(batch)
            total += loss.item() / len(self.val)
            texts = [text.tolist() for text in batch[2].split(batch[3].tolist())]
            wrong += sum(map(distance, decode(logs, batch[1] // 2), texts))
            letters += sum(map(len, texts))
        return total, wrong / letters


train = DataLoader(Rows(rows, images[:1300], labels[:1300]), batch, shuffle=True, collate_fn=collate)
val = DataLoader(Rows(150, images[1300:], labels[1300:]), 50, collate_fn=collate)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None
trainer = Trainer(model, train, val)

for epoch in range(epochs):
    loss = trainer.epoch()
    val_loss, errors = trainer.validate()
    print(f"epoch {epoch}: train {loss:.3f}, val {val_loss:.3f}, letter errors {errors:.1%}")
print("score", 1 - errors)
