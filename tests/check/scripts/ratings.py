import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
USERS, FILMS = 80, 60
taste, style = torch.randn(USERS, 4), torch.randn(FILMS, 4)
user, film = torch.randint(0, USERS, (4000,)), torch.randint(0, FILMS, (4000,))
rating = (taste[user] * style[film]).sum(1) / 2 + 0.1 * torch.randn(4000)
loader = DataLoader(TensorDataset(user, film, rating), batch_size=64, shuffle=True)


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.users, self.films = nn.Embedding(USERS, 8), nn.Embedding(FILMS, 8)
        nn.init.normal_(self.users.weight, std=0.3)
        nn.init.normal_(self.films.weight, std=0.3)

    def forward(self, user, film):
        return (self.users(user) * self.films(film)).sum(1)


model = Factors()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(10):
    for u, f, r in loader:
        loss = nn.functional.mse_loss(model(u, f), r)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
