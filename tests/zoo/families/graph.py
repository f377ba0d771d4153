"""Which digit is a node of a graph? Noisy pictures linked to their nearest, few of them labelled."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

seed = 0
nodes = 900
labelled = 150
neighbours = 6
width = 32
depth = 2
dropout = 0.5
epochs = 200
lr = 0.01
weight_decay = 5e-4
clip = 0.0

torch.manual_seed(seed)
data = np.load("digits.npz")
chosen = torch.randperm(len(data["x"]))[:nodes]
x, y = torch.tensor(data["x"], dtype=torch.float32)[chosen], torch.tensor(data["y"])[chosen]
near = torch.cdist(x, x).topk(neighbours + 1, largest=False).indices
links = torch.zeros(nodes, nodes).scatter_(1, near, 1.0)
links = ((links + links.T) > 0).float()
degree = links.sum(1)
adjacency = (links / (degree[:, None] * degree).sqrt()).to_sparse()
x = x + 10 * torch.randn_like(x)
x = (x - x.mean(0)) / x.std(0)
train, val = torch.arange(labelled), torch.arange(labelled, nodes)


class GraphConvolution(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.linear = nn.Linear(inside, outside)

    def forward(self, x):
        return torch.sparse.mm(adjacency, self.linear(x))


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [64, *[width] * (depth - 1), 10]
        self.layers = nn.ModuleList(GraphConvolution(a, b) for a, b in itertools.pairwise(sizes))
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(self.drop(x)))
        return self.layers[-1](self.drop(x))


model = GCN()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs
scheduler = None

for epoch in range(epochs):
    model.train()
    optimizer.zero_grad()
    out = model(x)
    loss = loss_fn(out[train], y[train])
    update(loss)
    model.eval()
    with torch.no_grad():
        out = model(x)
        val_loss = loss_fn(out[val], y[val]).item()
        accuracy = (out[val].argmax(1) == y[val]).float().mean().item()
    if epoch % 10 == 9:
        print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}, accuracy {accuracy:.3f}")
print("score", accuracy)
