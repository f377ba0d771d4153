"""Rules to be found in tables: the parity of a few hidden bits, sums modulo a prime. Flat for long, then solved."""

import torch
from torch import nn
from torch.nn import functional as F

seed = 0
task = "parity"
bits = 30
hidden = 3
prime = 23
share = 0.7
width = 128
batch = 32
steps = 1500
lr = 1e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
if task == "parity":
    classes, inputs = 2, bits
    x = torch.randint(0, 2, (20000, bits)).float() * 2 - 1
    y = (x[:, :hidden].prod(1) > 0).long()
    cut = 19000
else:
    classes, inputs = prime, 2 * prime
    pairs = torch.cartesian_prod(torch.arange(prime), torch.arange(prime))
    x, y = F.one_hot(pairs, prime).flatten(1).float(), pairs.sum(1) % prime
    order = torch.randperm(len(x))
    x, y, cut = x[order], y[order], int(share * len(x))
x_train, y_train, x_val, y_val = x[:cut], y[:cut], x[cut:], y[cut:]

model = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, classes))
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = None

for step in range(steps):
    chosen = torch.randint(0, cut, (batch,))
    loss = loss_fn(model(x_train[chosen]), y_train[chosen])
    optimizer.zero_grad()
    update(loss)
    if step % 100 == 99:
        model.eval()
        with torch.no_grad():
            logits = model(x_val)
            val_loss = loss_fn(logits, y_val).item()
            accuracy = (logits.argmax(1) == y_val).float().mean().item()
        model.train()
        print(f"step {step + 1}: loss {loss.item():.3f}, val {val_loss:.3f}, accuracy {accuracy:.3f}")
print("score", accuracy)
