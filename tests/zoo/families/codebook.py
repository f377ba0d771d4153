"""Digits in a few words of a codebook: a VQ-VAE (van den Oord et al. 2017) that is trained through its own rounding."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

seed = 0
rows = 1000
width = 24
size = 8
codes = 32
commitment = 0.25
batch = 50
epochs = 10
lr = 3e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
digits = torch.tensor(np.load("digits.npz")["x"], dtype=torch.float32).view(-1, 1, 8, 8) / 16
digits = digits[torch.randperm(len(digits))]
train, val = digits[:rows], digits[-300:]


class Codebook(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(codes, size)
        nn.init.uniform_(self.words.weight, -1 / codes, 1 / codes)

    def forward(self, z):
        """The nearest words (n, size) to vectors (n, size), and how far these are from each other."""
        distance = z.pow(2).sum(1, keepdim=True) - 2 * z @ self.words.weight.T + self.words.weight.pow(2).sum(1)
        word = self.words(distance.argmin(1))
        loss = F.mse_loss(word, z.detach()) + commitment * F.mse_loss(z, word.detach())
        return z + (word - z).detach(), loss


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(width, size, 1),
        )  # fmt: skip
        self.book = Codebook()
        self.decode = nn.Sequential(
            nn.Conv2d(size, width, 3, 1, 1), nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(width, 1, 3, 1, 1),
        )  # fmt: skip

    def forward(self, image):
        z = self.encode(image)
        n, c, h, w = z.shape
        word, book_loss = self.book(z.permute(0, 2, 3, 1).reshape(-1, c))
        return self.decode(word.view(n, h, w, c).permute(0, 3, 1, 2)), book_loss


model = VQVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * (rows // batch)
scheduler = None
spread = val.var().item()

for epoch in range(epochs):
    model.train()
    shuffled = train[torch.randperm(rows)]
    for start in range(0, rows - batch + 1, batch):
        image = shuffled[start : start + batch]
        image_hat, book_loss = model(image)
        loss = F.mse_loss(image_hat, image) + book_loss
        optimizer.zero_grad()
        update(loss)
    model.eval()
    with torch.no_grad():
        image_hat, book_loss = model(val)
        error = F.mse_loss(image_hat, val)
        val_loss = error + book_loss
    explained = 1 - error.item() / spread
    print(f"epoch {epoch}: loss {loss.item():.4f}, val {val_loss.item():.4f}, explained {explained:.3f}")
print("score", explained)
