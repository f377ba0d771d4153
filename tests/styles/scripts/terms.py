"""A variational autoencoder: two losses of torch's and one written by hand, weighted and summed."""

import torch
import torch.nn.functional as F
from own import Own
from torch import nn

torch.manual_seed(0)
x, y = torch.rand(32, 6), torch.randint(0, 3, (32,))
encoder, decoder, head = nn.Linear(6, 4), nn.Linear(2, 6), nn.Linear(2, 3)
model = nn.ModuleList([encoder, decoder, head])
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
own = Own()
own.know(planned_steps=21)

for step in range(21):
    mean, log_var = encoder(x).chunk(2, 1)
    z = mean + torch.randn_like(mean) * (log_var / 2).exp()
    reconstruction = F.mse_loss(decoder(z), x)
    label = F.cross_entropy(head(z), y)
    kl = 0.5 * (mean**2 + log_var.exp() - log_var - 1).mean()
    loss = reconstruction + 0.3 * label + 0.1 * kl
    optimizer.zero_grad()
    loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    own.step(loss=loss, root=loss, lr=[0.01], batch=32, terms=[reconstruction.item(), label.item()])
own.end(model)
