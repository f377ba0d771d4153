import torch
from torch import nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.999))
loss_fn = nn.BCEWithLogitsLoss()
for step in range(300):
    angle = 6.28 * torch.rand(64)
    real = torch.stack([angle.cos(), angle.sin()], 1)
    fake = generator(torch.randn(64, 4))
    critic_optimizer.zero_grad()
    loss = loss_fn(critic(real), torch.ones(64, 1)) + loss_fn(critic(fake.detach()), torch.zeros(64, 1))
    loss.backward()
    critic_optimizer.step()
    generator_optimizer.zero_grad()
    loss_fn(critic(fake), torch.ones(64, 1)).backward()
    generator_optimizer.step()
