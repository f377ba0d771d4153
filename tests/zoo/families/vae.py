"""A variational autoencoder of handwritten digits."""

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F
from torch.utils.data import DataLoader

seed = 0
rows = 1300
width = 128
latent = 8
beta = 1.0
batch = 64
epochs = 20
lr = 2e-3
weight_decay = 0.0
clip = 0.0

torch.manual_seed(seed)
pixels = torch.tensor(np.load("digits.npz")["x"], dtype=torch.float32) / 16
pixels = pixels[torch.randperm(len(pixels))]
train = DataLoader(pixels[:rows], batch, shuffle=True)
val = DataLoader(pixels[1350:], 256)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, 64))

    def forward(self, x):
        mean, log_var = self.encoder(x).chunk(2, 1)
        posterior = Normal(mean, (0.5 * log_var).exp())
        z = posterior.rsample() if self.training else mean
        return self.decoder(z), posterior


def loss_of(x):
    logits, posterior = model(x)
    prior = Normal(torch.zeros_like(posterior.loc), torch.ones_like(posterior.scale))
    rebuilt = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = kl_divergence(posterior, prior).sum() / len(x)
    return rebuilt + beta * kl, logits


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
steps = epochs * len(train)
scheduler = None

for epoch in range(epochs):
    model.train()
    for x in train:
        loss, _ = loss_of(x)
        optimizer.zero_grad()
        update(loss)
    model.eval()
    error = 0.0
    with torch.no_grad():
        for x in val:
            _, logits = loss_of(x)
            error += (logits.sigmoid() - x).pow(2).sum().item()
    print(f"epoch {epoch}: squared error {error / 447:.3f}")
print("score", -error / 447)
