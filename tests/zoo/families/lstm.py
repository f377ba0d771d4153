"""Where does a walk end? Read step by step by a recurrent network; the walks are made up, their ends are exact."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 1200
length = 16
width = 32
dropout = 0.0
batch = 64
epochs = 22
lr = 5e-3
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)


def sequences(count):
    """Signs of a random walk (count, length, 2) and the class of where it ends: below, at, above zero."""
    steps = torch.randint(0, 2, (count, length)) * 2 - 1
    kind = torch.randint(0, 2, (count, length))
    total = (steps * kind).sum(1)
    return torch.stack([steps, kind], 2).float(), (total.sign() + 1).long()


x_train, y_train = sequences(rows)
x_val, y_val = sequences(400)
train = DataLoader(TensorDataset(x_train, y_train), batch, shuffle=True)
val = DataLoader(TensorDataset(x_val, y_val), 200)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(2, width, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        states = self.cell(x)[0]
        return self.head(self.drop(states[:, -1]))


model = Reader()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for x, y in train:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        update(loss)
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in val:
            logits = model(x)
            loss_fn(logits, y)
            right += (logits.argmax(1) == y).sum().item()
    print(f"epoch {epoch}: accuracy {right / len(x_val):.3f}")
print("score", right / len(x_val))
