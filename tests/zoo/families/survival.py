"""Who is ill again first? A small net ranks the risks of patients, many of whom were not seen to the end (Cox 1972)."""

import copy

import numpy as np
import torch
from torch import nn

seed = 0
rows = 380
width = 24
dropout = 0.2
batch = 64
epochs = 25
lr = 2e-3
weight_decay = 1e-3
clip = 0.0

torch.manual_seed(seed)
data = np.load("cancer.npz")
x = torch.tensor(data["x"], dtype=torch.float32)
x = x[torch.randperm(len(x))]
x = (x - x[:rows].mean(0)) / x[:rows].std(0)
danger = 1.2 * x[:, 0] + 0.8 * x[:, 6] - 0.6 * x[:, 9] + 0.5 * x[:, 21] * (x[:, 21] > 0)
months = -24 * torch.rand(len(x)).log() / danger.exp()
left = 40 * torch.rand(len(x))
time, seen = torch.minimum(months, left), (months <= left).float()


def cox_loss(risk, time, seen):
    """Minus the partial log-likelihood of the risks (n,): of each event, against all who were still there."""
    order = time.argsort(descending=True)
    risk, seen = risk[order], seen[order]
    return -((risk - risk.logcumsumexp(0)) * seen).sum() / seen.sum().clamp(min=1)


def concordance(risk, time, seen):
    """The share of pairs, of those that can be compared, whose higher risk came first."""
    pairs = (time[:, None] < time) & (seen[:, None] > 0)
    return (risk[:, None] > risk)[pairs].float().mean().item()


model = nn.Sequential(
    nn.Linear(30, width),
    nn.SELU(),
    nn.Dropout(dropout),
    nn.Linear(width, width),
    nn.SELU(),
    nn.Dropout(dropout),
    nn.Linear(width, 1, bias=False),
)
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * ((rows + batch - 1) // batch)
scheduler = None
best, kept = float("inf"), copy.deepcopy(model.state_dict())

for epoch in range(epochs):
    model.train()
    for i in torch.randperm(rows).split(batch):
        risk = model(x[i]).squeeze(1)
        loss = cox_loss(risk, time[i], seen[i])
        optimizer.zero_grad()
        update(loss)
    model.eval()
    with torch.no_grad():
        risk = model(x[rows:]).squeeze(1)
    val_loss = cox_loss(risk, time[rows:], seen[rows:]).item()
    if val_loss < best:
        best, kept = val_loss, copy.deepcopy(model.state_dict())
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}")

model.load_state_dict(kept)
with torch.no_grad():
    print("score", concordance(model(x[rows:]).squeeze(1), time[rows:], seen[rows:]))
