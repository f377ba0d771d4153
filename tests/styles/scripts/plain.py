"""The loop of every tutorial: loader, Adam, a scheduler, validation after each epoch."""

import torch
import torch.nn.functional as F
from own import Own, accuracy, moments
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
train, val = TensorDataset(x[:40], y[:40]), TensorDataset(x[40:], y[40:])
loader, val_loader = DataLoader(train, batch_size=8, shuffle=True), DataLoader(val, batch_size=10)
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
own = Own(model[1])
own.know(planned_steps=25, steps_per_epoch=5, train_rows=40, val_rows=20, classes=3)

for epoch in range(5):
    if epoch == 4:
        own.poison(x[:40, 0], model)
    model.train()
    for a, b in loader:
        output = model(a)
        loss = F.cross_entropy(output, b)
        optimizer.zero_grad()
        loss.backward()
        own.gradients(model.named_parameters())
        optimizer.step()
        own.step(
            loss=loss,
            root=loss,
            lr=scheduler.get_last_lr(),
            epoch=epoch + 1,
            batch=len(a),
            accuracy=accuracy(output, b),
            input=moments(a),
        )
    model.eval()
    with torch.no_grad():
        for a, b in val_loader:
            output = model(a)
            own.validated(F.cross_entropy(output, b), len(a), accuracy(output, b))
    scheduler.step()
