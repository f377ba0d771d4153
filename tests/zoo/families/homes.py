"""Homes for sale: from columns with numbers and columns with names, the price and three yes-or-no questions."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 2000
width = 64
dropout = 0.1
batch = 64
epochs = 8
lr = 3e-3
weight_decay = 0.0
clip = 0.0
price_weight = 1.0

torch.manual_seed(seed)
SIZES = [12, 5, 8]


def offers(count):
    """Numbers (count, 5), names as codes (count, 3), log prices (count,) and answers (count, 3) of homes."""
    area = 30 + 220 * torch.rand(count) ** 2
    built = 1900 + 120 * torch.rand(count)
    rooms = (area / 25 + torch.randn(count)).round().clamp(min=1)
    walk, income = 20 * torch.rand(count), 2000 + 4000 * torch.rand(count)
    town, kind, heating = (torch.randint(size, (count,)) for size in SIZES)
    dear = (town * 2.39).sin() + 0.5 * (kind * 1.7).cos()
    price = 12 + 0.8 * (area / 100).log() + 0.5 * dear - 0.03 * walk + 0.1 * torch.randn(count)
    sold = 1.5 * dear - 0.15 * walk + (income - 4000) / 800
    garden = area / 60 - 2 + 2 * (kind == 1).float() - 2 * (kind == 3).float()
    repairs = (1960 - built) / 20 + 1.5 * (heating * 2.1).sin() - 1.5
    answers = (torch.stack([sold, garden, repairs], 1) + 0.5 * torch.randn(count, 3) > 0).float()
    return torch.stack([area, built, rooms, walk, income], 1), torch.stack([town, kind, heating], 1), price, answers


numbers, names, price, answers = offers(rows + 600)
mean, std = numbers[:rows].mean(0), numbers[:rows].std(0)
numbers = (numbers - mean) / std
usual, spread = price[:rows].mean(), price[:rows].std()
price = (price - usual) / spread


class Homes(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.ModuleList(nn.Embedding(size, 4) for size in SIZES)
        self.norm = nn.BatchNorm1d(5)
        self.body = nn.Sequential(
            nn.Linear(5 + 4 * len(SIZES), width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.price = nn.Linear(width, 1)
        self.answers = nn.Linear(width, 3)

    def forward(self, numbers, names):
        embedded = [embed(column) for embed, column in zip(self.embed, names.T, strict=True)]
        x = self.body(torch.cat([self.norm(numbers), *embedded], 1))
        return self.price(x), self.answers(x)


table = TensorDataset(numbers, names, price, answers)
train = DataLoader(TensorDataset(*table[:rows]), batch, shuffle=True)
val = DataLoader(TensorDataset(*table[rows:]), 200)
model = Homes()
value_loss = nn.MSELoss()
answer_loss = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None


def validate():
    """Loss, the share of the prices' variance that is explained, and F1 of the answers."""
    model.eval()
    losses, squares, hits, said, true = [], [], 0, 0, 0
    with torch.no_grad():
        for numbers, names, price, answers in val:
            value, logits = model(numbers, names)
            loss = price_weight * value_loss(value[:, 0], price) + answer_loss(logits, answers)
            losses.append(loss.item())
            squares.append((value[:, 0] - price).pow(2).mean().item())
            yes = (logits > 0).float()
            hits, said, true = hits + (yes * answers).sum(0), said + yes.sum(0), true + answers.sum(0)
    f1 = (2 * hits / (said + true).clamp(min=1)).mean().item()
    return sum(losses) / len(losses), 1 - sum(squares) / len(squares) / table[rows:][2].var().item(), f1


for epoch in range(epochs):
    model.train()
    for numbers, names, price, answers in train:
        value, logits = model(numbers, names)
        loss = price_weight * value_loss(value.squeeze(1), price) + answer_loss(logits, answers)
        optimizer.zero_grad()
        update(loss)
    val_loss, explained, f1 = validate()
    print(f"epoch {epoch}: loss {loss.item():.3f}, val {val_loss:.3f}, price R2 {explained:.3f}, F1 {f1:.3f}")
print("score", (max(explained, -1.0) + f1) / 2)
