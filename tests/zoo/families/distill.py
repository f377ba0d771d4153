"""A large net learns the digits, then a small one learns what the large one thinks of them (Hinton et al. 2015)."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

seed = 0
rows = 900
width = 24
temperature = 3.0
share = 0.7
noise = 0.0
dropout = 0.0
batch = 64
epochs = 14
lr = 3e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
data = np.load("digits.npz")
x, y = torch.tensor(data["x"], dtype=torch.float32) / 16, torch.tensor(data["y"])
order = torch.randperm(len(x))
train, val = order[:rows], order[-500:]


def batches():
    for i in train[torch.randperm(rows)].split(batch):
        yield x[i] + noise * torch.randn(len(i), 64), y[i]


def fit_teacher():
    """Ten epochs of a wide net with dropout; frozen from then on."""
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 10))
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(10):
        for images, labels in batches():
            adam.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            adam.step()
    return net.eval().requires_grad_(False)


def distillation(logits, wise, labels):
    """The divergence from the teacher's softened answer, and the labels' cross-entropy."""
    soft = F.log_softmax(logits / temperature, 1)
    apart = F.kl_div(soft, F.log_softmax(wise / temperature, 1), reduction="batchmean", log_target=True)
    return share * temperature**2 * apart + (1 - share) * F.cross_entropy(logits, labels)


teacher = fit_teacher()
model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * ((rows + batch - 1) // batch)
scheduler = None

for epoch in range(epochs):
    model.train()
    for images, labels in batches():
        with torch.no_grad():
            wise = teacher(images)
        loss = distillation(model(images), wise, labels)
        optimizer.zero_grad()
        update(loss)
    model.eval()
    with torch.no_grad():
        out = model(x[val])
        val_loss = distillation(out, teacher(x[val]), y[val]).item()
        accuracy = (out.argmax(1) == y[val]).float().mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}, accuracy {accuracy:.3f}")
print("score", accuracy)
