import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
SIDE = 8
images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16 - 0.3
images = nn.functional.interpolate(images, SIDE)
labels = torch.tensor(load_digits().target)


class Pictures(Dataset):
    def __init__(self, rows, train):
        self.rows, self.train = rows, train

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        x = images[self.rows[i]]
        if self.train:
            x = x + 0.05 * torch.randn(x.shape)
        return x, labels[self.rows[i]]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm1(self.conv1(x))))
        x = torch.relu(self.norm2(self.conv2(x)))
        return self.head(self.drop(x.mean((2, 3))))


order = torch.randperm(len(images)).tolist()
train_loader = DataLoader(Pictures(order[:1400], True), batch_size=32, shuffle=True)
val_loader = DataLoader(Pictures(order[1400:], False), batch_size=128)
net = Net()
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(20):
    net.train()
    for x, t in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(x), t)
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        print(epoch, sum((net(x).argmax(1) == t).sum().item() for x, t in val_loader))
