import torch
from ignite.engine import create_supervised_trainer
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x, y = (torch.tensor(x, dtype=torch.float32) - 4.9) / 6, torch.tensor(y)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), 32, shuffle=True)
create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss()).run(loader, max_epochs=8)
