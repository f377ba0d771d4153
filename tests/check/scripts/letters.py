import torch
from torch import nn

torch.manual_seed(0)
text = "the quick brown fox jumps over the lazy dog and runs away from the hunter in the wood " * 60
vocabulary = sorted(set(text))
tokens = torch.tensor([vocabulary.index(c) for c in text])
T, D = 32, 48


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.attention = nn.MultiheadAttention(D, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))

    def forward(self, x):
        mask = torch.triu(torch.full((T, T), float("-inf")), 1)
        h = self.norm1(x)
        x = x + self.attention(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Letters(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(vocabulary), D)
        self.places = nn.Embedding(T, D)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.LayerNorm(D)
        self.head = nn.Linear(D, len(vocabulary))

    def forward(self, ids):
        x = self.embed(ids) + self.places(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.blocks(x)))


model = Letters()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(400):
    starts = torch.randint(0, len(tokens) - T - 1, (16,))
    inputs = torch.stack([tokens[i : i + T] for i in starts])
    targets = torch.stack([tokens[i + 1 : i + T + 1] for i in starts])
    logits = model(inputs)
    loss = nn.functional.cross_entropy(logits.view(-1, len(vocabulary)), targets.view(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, loss.item())
