"""Learn 300 digits by heart: the training loss goes to zero while the validation loss turns and climbs.

nnwatch run demos/overfit.py
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)
labels[:300:5] = torch.randint(0, 10, (60,))  # labelled in a hurry: a fifth of the training labels are guesses
order = torch.randperm(len(images) - 300) + 300
train_x, train_y = images[:300], labels[:300]
val_x, val_y = images[order], labels[order]

model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(150):
    model.train()
    for index in torch.randperm(300).split(32):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train_x[index]), train_y[index])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        batches = zip(val_x.split(128), val_y.split(128), strict=True)
        val_loss = sum(F.cross_entropy(model(x), y).item() * len(y) for x, y in batches) / len(val_y)
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1:3d}   train {loss.item():.4f}   val {val_loss:.4f}")
