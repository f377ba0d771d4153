import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
steps = torch.randn(1600, 20, 2)
drift = torch.randint(0, 3, (1600,))
steps[:, :, 0] += 0.5 * (drift - 1).unsqueeze(1)
train_loader = DataLoader(TensorDataset(steps[:1200], drift[:1200]), batch_size=32, shuffle=True)
val_loader = DataLoader(TensorDataset(steps[1200:], drift[1200:]), batch_size=100)


class Walks(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 32, batch_first=True)
        self.head = nn.Linear(32, 3)
        with torch.no_grad():
            self.rnn.bias_hh_l0[32:64].fill_(1.0)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


model = Walks()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(20):
    for x, t in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        print(epoch, sum((model(x).argmax(1) == t).sum().item() for x, t in val_loader))
