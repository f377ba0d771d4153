"""A small transformer that writes the next letter; the text is the descriptions of scikit-learn's data sets."""

import pathlib

import torch
from torch import nn
from torch.nn import functional as F

seed = 0
width = 32
layers = 2
heads = 4
context = 32
dropout = 0.0
batch = 16
steps = 300
lr = 3e-3
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)
text = pathlib.Path("text.txt").read_text()
letters = sorted(set(text))
codes = torch.tensor([letters.index(letter) for letter in text])
cut = int(0.9 * len(codes))
train_codes, val_codes = codes[:cut], codes[cut:]


def batches(source, count):
    starts = torch.randint(0, len(source) - context - 1, (count,))
    x = torch.stack([source[i : i + context] for i in starts])
    y = torch.stack([source[i + 1 : i + context + 1] for i in starts])
    return x, y


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(n, t, width)))
        return x + self.drop(self.mlp(self.norm2(x)))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(len(letters), width)
        self.place = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(letters))

    def forward(self, codes):
        x = self.token(codes) + self.place(torch.arange(codes.shape[1]))
        return self.head(self.norm(self.blocks(x)))


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = None


def evaluate():
    model.eval()
    generator = torch.random.get_rng_state()
    torch.manual_seed(1)
    with torch.no_grad():
        losses = []
        for _ in range(4):
            x, y = batches(val_codes, 32)
            losses.append(F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item())
    torch.random.set_rng_state(generator)
    model.train()
    return sum(losses) / len(losses)


for step in range(steps):
    x, y = batches(train_codes, batch)
    logits = model(x)
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    update(loss)
    if (step + 1) % 50 == 0:
        val_loss = evaluate()
        print(f"step {step + 1}: loss {loss.item():.3f}, val {val_loss:.3f}")
print("score", -val_loss)
