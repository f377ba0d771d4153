"""What is each letter of a line of Python: part of a name, a number, a comment? Lines are padded to one length."""

import numpy as np
import torch
from torch import nn

seed = 0
rows = 400
width = 32
dropout = 0.0
batch = 24
epochs = 10
lr = 0.01
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)
data = np.load("source.npz")
x, y = torch.tensor(data["x"]), torch.tensor(data["y"])
order = torch.randperm(len(x))
x, y = x[order], y[order]
x_train, y_train, x_val, y_val = x[:rows], y[:rows], x[-400:], y[-400:]
letters, tags = int(x.max()) + 1, int(y.max()) + 1


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(letters, 16, padding_idx=0)
        self.read = nn.GRU(16, width, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, tags)

    def forward(self, x):
        return self.head(self.drop(self.read(self.embed(x))[0]))


model = Tagger()
loss_fn = nn.CrossEntropyLoss(ignore_index=0)
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * ((rows + batch - 1) // batch)
scheduler = None

for epoch in range(epochs):
    model.train()
    for i in torch.randperm(rows).split(batch):
        a, b = x_train[i], y_train[i]
        optimizer.zero_grad()
        out = model(a)
        loss = loss_fn(out.flatten(0, 1), b.flatten())
        update(loss)
    model.eval()
    with torch.no_grad():
        out = model(x_val)
        val_loss = loss_fn(out.flatten(0, 1), y_val.flatten()).item()
        real = y_val > 0
        accuracy = (out.argmax(2) == y_val)[real].float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}, accuracy {accuracy:.3f}")
print("score", accuracy)
