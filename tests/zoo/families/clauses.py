"""What a function of the standard library does, several answers at a time, told from the names in it."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

seed = 0
rows = 1600
width = 48
dropout = 0.2
batch = 32
epochs = 5
lr = 0.01
weight_decay = 0.01
clip = 0.0


class Functions(Dataset):
    """The names in a function as a bag, and which clauses it has."""

    def __init__(self, names, does):
        self.names, self.does = names, does

    def __len__(self):
        return len(self.does)

    def __getitem__(self, i):
        names = self.names[i]
        return names[names > 0], self.does[i]


def collate(samples):
    bags, does = zip(*samples, strict=True)
    starts = torch.tensor([0, *(len(bag) for bag in bags[:-1])]).cumsum(0)
    return torch.cat(bags), starts, torch.stack(does)


class Tagger(nn.Module):
    def __init__(self, words, labels):
        super().__init__()
        self.embed = nn.EmbeddingBag(words, width, mode="mean")
        self.drop = nn.Dropout(dropout)
        self.hidden = nn.Linear(width, 2 * width)
        self.out = nn.Linear(2 * width, labels)

    def forward(self, names, starts):
        x = torch.relu(self.hidden(self.drop(self.embed(names, starts))))
        return self.out(self.drop(x))


class Trainer:
    def __init__(self, model, criterion, optimizer, scheduler=None):
        self.model, self.criterion = model, criterion
        self.optimizer, self.scheduler = optimizer, scheduler
        self.history = []

    def training_step(self, samples):
        names, starts, does = samples
        logits = self.model(names, starts)
        return self.criterion(logits, does)

    def fit(self, train_loader, val_loader):
        for epoch in range(epochs):
            self.model.train()
            for samples in train_loader:
                self.optimizer.zero_grad()
                loss = self.training_step(samples)
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(self.model.parameters(), clip)
                self.optimizer.step()
                if self.scheduler:
                    self.scheduler.step()
            self.history.append(self.evaluate(val_loader))
            val_loss, f1 = self.history[-1]
            print(f"epoch {epoch + 1}: loss {loss.item():.3f}  val_loss {val_loss:.3f}  F1 {f1:.3f}")

    @torch.no_grad()
    def evaluate(self, loader):
        """Loss, and F1 over all answers."""
        self.model.eval()
        total, count, hits, said, true = 0.0, 0, 0, 0, 0
        for names, starts, does in loader:
            logits = self.model(names, starts)
            total += self.criterion(logits, does).item() * len(does)
            count += len(does)
            yes = (logits > 0).float()
            hits, said, true = hits + (yes * does).sum().item(), said + yes.sum().item(), true + does.sum().item()
        return total / count, 2 * hits / max(said + true, 1)


torch.manual_seed(seed)
data = np.load("functions.npz")
order = torch.randperm(len(data["x"]))
names, does = torch.tensor(data["x"])[order], torch.tensor(data["y"], dtype=torch.float32)[order]
train_set = Functions(names[:rows], does[:rows])
val_set = Functions(names[-600:], does[-600:])
train_loader = DataLoader(train_set, batch, shuffle=True, collate_fn=collate)
val_loader = DataLoader(val_set, 200, collate_fn=collate)
model = Tagger(int(names.max()) + 1, does.shape[1])
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train_loader)
scheduler = None
trainer = Trainer(model, criterion, optimizer, scheduler)
trainer.fit(train_loader, val_loader)
print("score", trainer.history[-1][1])
