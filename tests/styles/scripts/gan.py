"""Two networks, two optimizers, a step of each in turn; the judge's loss has two terms."""

import torch
import torch.nn.functional as F
from own import Own
from torch import nn

torch.manual_seed(0)
real = torch.randn(24, 4) + 2
maker, judge = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4)), nn.Linear(4, 1)
of_judge = torch.optim.Adam(judge.parameters(), lr=0.01)
of_maker = torch.optim.Adam(maker.parameters(), lr=0.002)
ones, zeros = torch.ones(24, 1), torch.zeros(24, 1)
own = Own()
count = sum(p.numel() for model in (maker, judge) for p in model.parameters())
own.know(planned_steps=22, model=["Sequential + Linear", count])

for step in range(11):
    fake = maker(torch.randn(24, 2))
    loss = F.binary_cross_entropy_with_logits(judge(real), ones)
    loss = loss + F.binary_cross_entropy_with_logits(judge(fake.detach()), zeros)
    of_judge.zero_grad()
    loss.backward()
    own.gradients(("Linear." + name, p) for name, p in judge.named_parameters())
    of_judge.step()
    own.step(loss=loss, root=loss, lr=[0.01, 0.002])

    loss = F.binary_cross_entropy_with_logits(judge(fake), ones)
    of_maker.zero_grad()
    loss.backward()
    own.gradients(("Sequential." + name, p) for name, p in maker.named_parameters())
    of_maker.step()
    own.step(loss=loss, root=loss, lr=[0.01, 0.002])
own.end([*maker.parameters(), *judge.parameters()])
