"""A small BERT over lines of Python: letters are hidden, and told from what stands on both sides of them."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

seed = 0
rows = 1200
width = 32
heads = 4
layers = 2
dropout = 0.0
hidden = 0.15
batch = 24
steps = 200
lr = 0.01
weight_decay = 0.01
clip = 1.0

torch.manual_seed(seed)
PAD, MASK, NONE = 0, 1, -100
lines = torch.tensor(np.load("source.npz")["x"])
lines = lines[torch.randperm(len(lines))]
letters = int(lines.max()) + 1


def hide(text):
    """Lines with some letters hidden (or changed, or left as they are), and those letters as labels."""
    asked = (torch.rand(text.shape) < hidden) & (text != PAD)
    draw = torch.rand(text.shape)
    seen = text.masked_fill(asked & (draw < 0.8), MASK)
    seen = torch.where(asked & (draw > 0.9), torch.randint_like(text, 32, letters), seen)
    return seen, text.masked_fill(~asked, NONE)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(letters, width, padding_idx=PAD)
        self.place = nn.Parameter(0.02 * torch.randn(32, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters)

    def forward(self, text):
        x = self.embed(text) + self.place[: text.shape[1]]
        x = self.encoder(x, src_key_padding_mask=text == PAD)
        return self.head(self.norm(x))


def forever(loader):
    while True:
        yield from loader


train = DataLoader(lines[:rows], batch, shuffle=True, drop_last=True)
val_seen, val_asked = hide(lines[-240:])
model = Bert()
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = None


@torch.no_grad()
def evaluate():
    """Loss, and the share of the hidden letters that are found."""
    model.eval()
    logits = model(val_seen)
    loss = F.cross_entropy(logits.flatten(0, 1), val_asked.flatten())
    right = (logits.argmax(2) == val_asked)[val_asked != NONE]
    model.train()
    return loss.item(), right.float().mean().item()


for step, text in zip(range(1, steps + 1), forever(train)):  # noqa: B905
    seen, asked = hide(text)
    logits = model(seen)
    loss = F.cross_entropy(logits.flatten(0, 1), asked.flatten())
    optimizer.zero_grad()
    update(loss)
    if step % 50 == 0 or step == steps:
        val_loss, accuracy = evaluate()
        print(f"step {step}: loss {loss.item():.3f}, val {val_loss:.3f}, accuracy {accuracy:.3f}")
print("score", accuracy)
