"""Facts about classes of the standard library as translations between embeddings (TransE, Bordes et al. 2013)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

seed = 0
dim = 32
negatives = 8
margin = 4.0
batch = 128
epochs = 30
lr = 0.02
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
facts = torch.tensor(np.load("facts.npz")["x"])
facts = facts[torch.randperm(len(facts))]
train, test = facts[:-250], facts[-250:]
things, relations = int(facts[:, [0, 2]].max()) + 1, int(facts[:, 1].max()) + 1
known = {}
for subject, relation, thing in facts.tolist():
    known.setdefault((subject, relation), []).append(thing)


class TransE(nn.Module):
    def __init__(self):
        super().__init__()
        self.thing = nn.Embedding(things, dim)
        self.relation = nn.Embedding(relations, dim)
        nn.init.uniform_(self.thing.weight, -0.5, 0.5)
        nn.init.uniform_(self.relation.weight, -0.5, 0.5)

    def forward(self, subject, relation, thing):
        """How well a fact fits: the greater, the better."""
        return margin - (self.thing(subject) + self.relation(relation) - self.thing(thing)).norm(dim=-1)


model = TransE()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * -(-len(train) // batch)
scheduler = None


def step(rows):
    subject, relation, thing = rows.T
    right = model(subject, relation, thing)
    wrong = model(subject[:, None], relation[:, None], torch.randint(things, (len(rows), negatives)))
    return -F.logsigmoid(right).mean() - F.logsigmoid(-wrong).mean()


@torch.no_grad()
def ranks(rows):
    """The place of each fact's object among all objects that are not known to be right, from 1."""
    everything = torch.arange(things)
    found = []
    for subject, relation, thing in rows.tolist():
        fits = model(torch.tensor(subject), torch.tensor(relation), everything)
        other = fits.clone()
        other[known[subject, relation]] = -torch.inf
        found.append(1 + int((~(other < fits[thing])).sum()))
    return torch.tensor(found, dtype=torch.float32)


for epoch in range(epochs):
    losses = []
    for rows in train[torch.randperm(len(train))].split(batch):
        optimizer.zero_grad()
        loss = step(rows)
        update(loss)
        losses.append(loss.item())
    if epoch % 10 == 9:
        found = ranks(test)
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.3f} hits at 10 {(found <= 10).float().mean():.3f}")
print("score", (ranks(test) <= 10).float().mean().item())
