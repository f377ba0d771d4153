import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
PAD, WORDS = 0, 20


class Sentences(Dataset):
    def __init__(self, n, seed):
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(4, 16, (n,), generator=generator).tolist()
        self.words = [torch.randint(1, WORDS, (k,), generator=generator) for k in lengths]

    def __len__(self):
        return len(self.words)

    def __getitem__(self, i):
        return self.words[i], 1 + (7 * self.words[i]) % (WORDS - 1)


def collate(items):
    words, tags = zip(*items)
    pad = nn.utils.rnn.pad_sequence
    return pad(words, batch_first=True, padding_value=PAD), pad(tags, batch_first=True, padding_value=PAD)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, 24, padding_idx=PAD)
        self.rnn = nn.GRU(24, 24, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, WORDS)

    def forward(self, words):
        return self.head(self.rnn(self.embed(words))[0])


train_loader = DataLoader(Sentences(1500, 1), batch_size=32, shuffle=True, collate_fn=collate)
val_loader = DataLoader(Sentences(300, 2), batch_size=50, collate_fn=collate)
model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.CrossEntropyLoss(ignore_index=PAD)
for epoch in range(15):
    for words, tags in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(words).transpose(1, 2), tags)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        print(epoch, sum(loss_fn(model(w).transpose(1, 2), t).item() for w, t in val_loader))
