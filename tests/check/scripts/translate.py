import torch
from torch import nn

torch.manual_seed(0)
WORDS, SOURCE, TARGET = 20, 12, 8


class Translator(nn.Module):
    """Sorts the first words of a sentence: an encoder and a decoder with attention, positions first."""

    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.places = nn.Parameter(0.1 * torch.randn(SOURCE, 1, width))
        self.layers = nn.Transformer(width, 4, 1, 1, 64, dropout=0.1)
        self.head = nn.Linear(width, WORDS)

    def forward(self, source, before):
        mask = nn.Transformer.generate_square_subsequent_mask(len(before))
        a, b = self.embed(source) + self.places, self.embed(before) + self.places[: len(before)]
        return self.head(self.layers(a, b, tgt_mask=mask))


model = Translator()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
for step in range(400):
    source = torch.randint(1, WORDS, (SOURCE, 32))
    wanted = source[:TARGET].sort(0).values
    before = torch.cat([torch.zeros(1, 32, dtype=torch.long), wanted[:-1]])
    logits = model(source, before)
    loss = loss_fn(logits.reshape(-1, WORDS), wanted.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, loss.item())
