"""Actor and critic on a tiny bandit: the actor's loss comes from log-probabilities, the critic's from F.mse_loss."""

import torch
import torch.nn.functional as F
from own import Own
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.actor, self.critic = nn.Linear(3, 8), nn.Linear(8, 4), nn.Linear(8, 1)

    def forward(self, state):
        hidden = torch.tanh(self.body(state))
        return Categorical(logits=self.actor(hidden)), self.critic(hidden).squeeze(1)


model = ActorCritic()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
own = Own()
own.know(planned_steps=21)

for step in range(21):
    state = torch.randn(16, 3)
    policy, value = model(state)
    action = policy.sample()
    reward = (action == state.argmax(1)).float()
    advantage = reward - value.detach()
    critic_loss = F.mse_loss(value, reward)
    loss = -(policy.log_prob(action) * advantage).mean() + 0.5 * critic_loss - 0.01 * policy.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    own.gradients(model.named_parameters())
    nn.utils.clip_grad_norm_(model.parameters(), 100.0)
    optimizer.step()
    own.step(loss=critic_loss, root=loss, lr=[0.01], entropy=policy.entropy().mean())
own.end(model)
