"""987 to CMLXXXVII: an encoder reads the digits, a decoder writes the letters and looks back at what was read."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset

seed = 0
width = 40
dropout = 0.0
batch = 24
steps = 160
lr = 0.015
weight_decay = 0.0
clip = 1.0

torch.manual_seed(seed)
PAD, START, END = 0, 1, 2
DIGITS, LETTERS = "___0123456789", "___IVXLCDM"
ROMAN = [(900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL")]
ROMAN += [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]


def pair(number):
    """The codes of a number's digits, and of its numeral between START and END."""
    source, target = [DIGITS.index(digit) for digit in str(number)], [START]
    for value, letters in ROMAN:
        while number >= value:
            number -= value
            target += [LETTERS.index(letter) for letter in letters]
    return torch.tensor(source), torch.tensor([*target, END])


class Stream(IterableDataset):
    """Numbers drawn without an end, as a service would send them."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __iter__(self):
        while True:
            yield pair(self.numbers[int(torch.randint(len(self.numbers), ()))])


def collate(pairs):
    sources, targets = zip(*pairs, strict=True)
    return pad_sequence(sources, batch_first=True), pad_sequence(targets, batch_first=True)


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.digits = nn.Embedding(len(DIGITS), 16, padding_idx=PAD)
        self.letters = nn.Embedding(len(LETTERS), 16, padding_idx=PAD)
        self.encoder = nn.GRU(16, width, batch_first=True)
        self.decoder = nn.GRU(16, width, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, len(LETTERS))

    def forward(self, source, before):
        read, state = self.encoder(self.digits(source))
        wrote, _ = self.decoder(self.letters(before), state)
        match = (wrote @ read.transpose(1, 2)).masked_fill(source[:, None] == PAD, -1e9)
        return self.head(self.drop(torch.cat([wrote, match.softmax(2) @ read], 2)))


numbers = (torch.randperm(999) + 1).tolist()
loader = DataLoader(Stream(numbers[:700]), batch, collate_fn=collate)
x_val, y_val = collate([pair(number) for number in numbers[-200:]])
model = Translator()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
scheduler = None


def evaluate():
    """Loss, and the share of numerals that are written without a mistake."""
    model.eval()
    with torch.no_grad():
        out, after = model(x_val, y_val[:, :-1]), y_val[:, 1:]
        loss = F.cross_entropy(out.flatten(0, 1), after.flatten(), ignore_index=PAD)
        right = (out.argmax(2) == after) | (after == PAD)
    model.train()
    return loss.item(), right.all(1).float().mean().item()


for step, (x, y) in zip(range(1, steps + 1), loader):  # noqa: B905
    optimizer.zero_grad()
    out = model(x, y[:, :-1])
    loss = F.cross_entropy(out.flatten(0, 1), y[:, 1:].flatten(), ignore_index=PAD)
    update(loss)
    if step % 50 == 0 or step == steps:
        val_loss, exact = evaluate()
        print(f"step {step}: loss {loss.item():.3f}, val {val_loss:.3f}, exact {exact:.3f}")
print("score", exact)
