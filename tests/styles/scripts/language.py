"""A small language model: causal attention, tied weights, logits and targets flattened to (B*T, V)."""

import torch
import torch.nn.functional as F
from own import Own, accuracy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
tokens = torch.randint(0, 17, (32, 9))
loader = DataLoader(TensorDataset(tokens), batch_size=8)


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(17, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 17, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.head(self.block(self.embed(tokens), src_mask=mask, is_causal=True))


model = Language()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
own = Own()
own.know(planned_steps=20, steps_per_epoch=4, classes=17, train_rows=32)

for epoch in range(5):
    for (batch,) in loader:
        logits = model(batch[:, :-1])
        flat, target = logits.view(-1, 17), batch[:, 1:].reshape(-1)
        loss = F.cross_entropy(flat, target)
        optimizer.zero_grad()
        loss.backward()
        own.gradients(model.named_parameters())
        optimizer.step()
        own.step(loss=loss, root=loss, lr=[1e-2], batch=8, epoch=epoch + 1, accuracy=accuracy(flat, target))
own.end(model)
