"""Which package is a docstring from? Words are embedded, read by a GRU and pooled by attention."""

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 800
width = 40
dropout = 0.2
batch = 32
epochs = 7
lr = 5e-3
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)
data = np.load("docs.npz")
x, y = torch.tensor(data["x"]), torch.tensor(data["y"])
order = torch.randperm(len(x))
words, packages = int(x.max()) + 1, int(y.max()) + 1


class Docs(Dataset):
    """Docstrings as the numbers of their words, and the number of their package."""

    def __init__(self, chosen):
        self.x, self.y = [text[text > 0] for text in x[chosen]], y[chosen]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def collate(samples):
    texts, labels = zip(*samples, strict=True)
    return pad_sequence(texts, batch_first=True), torch.stack(labels)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(words, 32, padding_idx=0)
        self.read = nn.GRU(32, width, batch_first=True)
        self.score = nn.Linear(width, 1)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, packages)

    def forward(self, text):
        read, _ = self.read(self.drop(self.embed(text)))
        score = self.score(read).squeeze(2).masked_fill(text == 0, -1e9)
        pooled = (score.softmax(1)[:, :, None] * read).sum(1)
        return self.head(self.drop(pooled))


train = DataLoader(Docs(order[:rows]), batch, shuffle=True, collate_fn=collate)
val = DataLoader(Docs(order[-240:]), 120, collate_fn=collate)
model = Reader()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for text, label in train:
        loss = criterion(model(text), label)
        optimizer.zero_grad()
        update(loss)
    model.eval()
    total, right, count = 0.0, 0, 0
    with torch.no_grad():
        for text, label in val:
            logits = model(text)
            total += criterion(logits, label).item() * len(label)
            right += (logits.argmax(1) == label).sum().item()
            count += len(label)
    accuracy = right / count
    print(f"epoch {epoch + 1}/{epochs}  loss {loss.item():.3f}  val loss {total / count:.3f}  accuracy {accuracy:.3f}")
print("score", accuracy)
