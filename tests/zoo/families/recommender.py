"""How dark is this pixel of that picture? Entries of a table, by the embeddings of row and column."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
users = 400
share = 0.7
size = 8
spread = 0.1
dropout = 0.0
batch = 256
epochs = 5
lr = 0.01
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
table = torch.tensor(np.load("digits.npz")["x"][:users], dtype=torch.float32)
pairs = torch.cartesian_prod(torch.arange(users), torch.arange(64))
pairs = pairs[torch.randperm(len(pairs))]
ratings = table[pairs[:, 0], pairs[:, 1]]
cut = int(share * len(pairs))
ratings = (ratings - ratings[:cut].mean()) / ratings[:cut].std()
train_data = TensorDataset(pairs[:cut, 0], pairs[:cut, 1], ratings[:cut])
val_data = TensorDataset(pairs[cut:, 0], pairs[cut:, 1], ratings[cut:])
train, val = DataLoader(train_data, batch, shuffle=True), DataLoader(val_data, 1000)


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.user, self.item = nn.Embedding(users, size), nn.Embedding(64, size)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(64, 1)
        self.drop = nn.Dropout(dropout)
        for table in self.children():
            if isinstance(table, nn.Embedding):
                nn.init.normal_(table.weight, std=spread)

    def forward(self, u, i):
        match = (self.drop(self.user(u)) * self.item(i)).sum(1)
        return match + self.user_bias(u)[:, 0] + self.item_bias(i)[:, 0]


model = Factors()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for u, i, r in train:
        optimizer.zero_grad()
        loss = loss_fn(model(u, i), r)
        update(loss)
    model.eval()
    total, error = 0.0, 0.0
    with torch.no_grad():
        for u, i, r in val:
            guess = model(u, i)
            total += loss_fn(guess, r).item() / len(val)
            error += (guess - r).pow(2).mean().item() / len(val)
    print(f"epoch {epoch}: val loss {total:.4f}")
print("score", 1 - error / ratings.var().item())
