"""The next word of the standard library's documentation: an LSTM that keeps its state from one piece to the next."""

import math

import numpy as np
import torch
from torch import nn

seed = 0
rows = 16000
width = 64
layers = 1
dropout = 0.2
batch = 16
bptt = 16
epochs = 5
lr = 5.0
weight_decay = 0.0
clip = 0.5

torch.manual_seed(seed)
words = torch.tensor(np.load("prose.npz")["x"])
vocabulary = int(words.max()) + 1


def batchify(words, columns):
    """A text cut into columns (time, columns) that are read side by side."""
    length = len(words) // columns
    return words[: length * columns].view(columns, length).t().contiguous()


def piece(source, i):
    """Words (bptt, columns) from place ``i`` on, and those that come next (bptt * columns,)."""
    length = min(bptt, len(source) - 1 - i)
    return source[i : i + length], source[i + 1 : i + 1 + length].view(-1)


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocabulary, width)
        self.rnn = nn.LSTM(width, width, layers)
        self.decoder = nn.Linear(width, vocabulary)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, words, hidden):
        out, hidden = self.rnn(self.drop(self.encoder(words)), hidden)
        return self.decoder(self.drop(out)).view(-1, vocabulary), hidden


def repackage(hidden):
    """The state without the graph that it came from."""
    return None if hidden is None else tuple(part.detach() for part in hidden)


train_data = batchify(words[:rows], batch)
val_data = batchify(words[-4000:], 10)
model = Writer()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay)
places = range(0, len(train_data) - 1, bptt)
steps = epochs * len(places)
scheduler = None


def evaluate():
    model.eval()
    total, hidden = 0.0, None
    with torch.no_grad():
        for i in range(0, len(val_data) - 1, bptt):
            data, targets = piece(val_data, i)
            output, hidden = model(data, hidden)
            total += len(data) * criterion(output, targets).item()
    return total / (len(val_data) - 1)


def train(epoch):
    model.train()
    total, hidden = 0.0, None
    for number, i in enumerate(places):
        data, targets = piece(train_data, i)
        hidden = repackage(hidden)
        optimizer.zero_grad()
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        update(loss)
        total += loss.item()
        if number % 20 == 19:
            print(f"| epoch {epoch} | {number + 1}/{len(places)} batches | loss {total / 20:5.2f}")
            total = 0.0


for epoch in range(1, epochs + 1):
    train(epoch)
    val_loss = evaluate()
    print(f"| end of epoch {epoch} | valid loss {val_loss:5.2f} | valid ppl {math.exp(min(val_loss, 20)):8.2f}")
print("score", 1 - val_loss / math.log(vocabulary))
