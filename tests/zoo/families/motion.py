"""What somebody does, from three accelerometers: patches of the signals are read by a transformer (Nie et al. 2023)."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = 0
rows = 720
length = 64
patch = 8
width = 32
heads = 4
depth = 2
dropout = 0.1
smoothing = 0.0
batch = 32
epochs = 6
lr = 3e-3
weight_decay = 0.01
clip = 1.0

torch.manual_seed(seed)
KINDS = 6


def movements(count):
    """Signals (count, 3, length) in m/s², with the pull of the earth, and the kind of movement of each (count,)."""
    kind = torch.randint(KINDS, (count,))
    time = torch.arange(length) / 16
    pace = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.2, 1.7])[kind] * (1 + 0.1 * torch.randn(count))
    force = torch.tensor([0.15, 0.15, 1.6, 1.8, 1.5, 4.0])[kind] * (1 + 0.2 * torch.randn(count))
    start = 2 * math.pi * torch.rand(count)
    phase = 2 * math.pi * pace[:, None] * time + start[:, None]
    second = torch.tensor([0.0, 0.0, 0.4, 0.9, -0.6, 0.3])[kind][:, None]
    up = force[:, None] * (phase.sin() + second * (2 * phase).sin())
    side = 0.5 * force[:, None] * (phase / 2).sin()
    front = 0.6 * force[:, None] * (phase + 0.8 * (kind == 3).float()[:, None]).cos()
    lean = 0.2 * torch.randn(count) + 1.1 * (kind == 1).float()
    pull = 9.8 * torch.stack([lean.cos(), torch.zeros(count), lean.sin()], 1)[:, :, None]
    return torch.stack([up, side, front], 1) + pull + 0.6 * torch.randn(count, 3, length), kind


signals, kinds = movements(rows + 400)
mean, std = signals[:rows].mean((0, 2), keepdim=True), signals[:rows].std((0, 2), keepdim=True)
signals = (signals - mean) / std


class PatchTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Linear(3 * patch, width)
        self.places = nn.Parameter(0.02 * torch.randn(length // patch, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, KINDS)

    def forward(self, signal):
        cut = signal.unfold(2, patch, patch).transpose(1, 2).flatten(2)
        x = self.encoder(self.patches(cut) + self.places)
        return self.head(self.norm(x).mean(1))


train_loader = DataLoader(TensorDataset(signals[:rows], kinds[:rows]), batch, shuffle=True)
val_loader = DataLoader(TensorDataset(signals[rows:], kinds[rows:]), 200)
model = PatchTransformer()
criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train_loader)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)


@torch.no_grad()
def test(loader):
    model.eval()
    loss, right, count = 0.0, 0, 0
    for signal, kind in loader:
        with torch.autocast("cpu", torch.bfloat16):
            out = model(signal)
        loss += nn.functional.cross_entropy(out.float(), kind, reduction="sum").item()
        right += (out.argmax(1) == kind).sum().item()
        count += len(kind)
    return loss / count, right / count


for epoch in range(1, epochs + 1):
    model.train()
    running = 0.0
    for signal, kind in train_loader:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = criterion(model(signal), kind)
        update(loss)
        running += loss.item()
    val_loss, accuracy = test(val_loader)
    print(f"Epoch {epoch}: train loss {running / len(train_loader):.4f}, val loss {val_loss:.4f}, acc {accuracy:.3f}")
print("score", accuracy)
