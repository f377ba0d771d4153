"""Two nets against each other: one draws points on a ring of eight, the other tells them from real ones."""

import math

import torch
from torch import nn
from torch.nn import functional as F

seed = 0
width = 64
noise_size = 8
batch = 128
steps = 600
lr = 1e-3
lr_d = 1e-3
beta1 = 0.5

torch.manual_seed(seed)


def real(count):
    angle = torch.randint(0, 8, (count,)) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2)


def perceptron(inside, outside, activation):
    return nn.Sequential(
        nn.Linear(inside, width), activation, nn.Linear(width, width), activation, nn.Linear(width, outside)
    )


generator = perceptron(noise_size, 2, nn.ReLU())
critic = perceptron(2, 1, nn.LeakyReLU(0.2))
generator_step = torch.optim.Adam(generator.parameters(), lr=lr, betas=(beta1, 0.999))
critic_step = torch.optim.Adam(critic.parameters(), lr=lr_d, betas=(beta1, 0.999))
ones, zeros = torch.ones(batch, 1), torch.zeros(batch, 1)
bce = F.binary_cross_entropy_with_logits

for step in range(steps):
    drawn = generator(torch.randn(batch, noise_size))
    critic_loss = bce(critic(real(batch)), ones) + bce(critic(drawn.detach()), zeros)
    critic_step.zero_grad()
    critic_loss.backward()
    critic_step.step()

    drawn = generator(torch.randn(batch, noise_size))
    generator_loss = bce(critic(drawn), ones)
    generator_step.zero_grad()
    generator_loss.backward()
    generator_step.step()
    if step % 100 == 99:
        print(f"step {step + 1}: critic {critic_loss.item():.3f}, generator {generator_loss.item():.3f}")

with torch.no_grad():
    drawn, points, more = generator(torch.randn(1000, noise_size)), real(1000), real(1000)
    within = torch.cdist(drawn, drawn).mean() + torch.cdist(points, more).mean()
    distance = 2 * torch.cdist(drawn, points).mean() - within
print("score", -distance.item())
