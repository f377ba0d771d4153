import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images = (torch.tensor(load_digits().images, dtype=torch.float32) - 4.9) / 6
labels = torch.tensor(load_digits().target)
loader = DataLoader(TensorDataset(images[:1400], labels[:1400]), 32, shuffle=True)
test_loader = DataLoader(TensorDataset(images[1400:], labels[1400:]), 100)


class Patches(nn.Module):
    """A small vision transformer: 16 patches of 2 x 2 pixels."""

    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.places = nn.Parameter(0.02 * torch.randn(1, 16, width))
        layer = nn.TransformerEncoderLayer(width, 4, 64, 0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = x.unfold(1, 2, 2).unfold(2, 2, 2).reshape(len(x), 16, 4)
        return self.head(self.encoder(self.embed(x) + self.places).mean(1))


model = Patches()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
for epoch in range(10):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(epoch, sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader))
