import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
SCENES, SIDE = 1000, 32
scenes = nn.functional.interpolate(torch.randn(SCENES, 1, 8, 8), size=SIDE, mode="bilinear") / 0.7
day = (scenes.mean((1, 2, 3)) > 0).long()
train_x, train_y, val_x, val_y = scenes[:750], day[:750], scenes[750:], day[750:]
train_loader = DataLoader(TensorDataset(train_x, train_y), 32, shuffle=True)
val_loader = DataLoader(TensorDataset(val_x, val_y), 50)
model = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(), nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(1024, 2)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(20):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in val_loader)
    print(epoch, right / len(val_y))
