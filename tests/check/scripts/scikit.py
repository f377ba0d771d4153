import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from torch import nn

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
net = NeuralNetClassifier(
    nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    max_epochs=10,
    batch_size=32,
    iterator_train__shuffle=True,
)
net.fit(((x - 4.9) / 6).astype("float32"), y)
