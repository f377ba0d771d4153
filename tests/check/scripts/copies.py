import torch
from torch import nn

torch.manual_seed(0)
WORDS, LENGTH = 12, 8


class Copy(nn.Module):
    """Writes a sequence backwards: an encoder and a decoder."""

    def __init__(self, width=48):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.encoder, self.decoder = nn.GRU(width, width, batch_first=True), nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, WORDS)

    def forward(self, source, before):
        _, state = self.encoder(self.embed(source))
        return self.head(self.decoder(self.embed(before), state)[0])


model = Copy()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    source = torch.randint(1, WORDS, (32, LENGTH))
    wanted = source.flip(1)
    before = torch.cat([torch.zeros(32, 1, dtype=torch.long), wanted[:, :-1]], 1)
    loss = nn.functional.cross_entropy(model(source, before).flatten(0, 1), wanted.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
