"""One loop, a loss function of every kind."""

import sys

import torch
import torch.nn.functional as F
from own import Own, accuracy
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(40, 5), torch.randint(0, 3, (40,))
soft, many, real = torch.rand(40, 3).softmax(1), (torch.rand(40, 3) > 0.6).float(), torch.randn(40, 3)
holes = y.masked_fill(torch.arange(40) % 4 == 0, -100)


def hand_written(output, target):
    return -output.log_softmax(1)[torch.arange(40), target].mean()


def shares(output, target):
    return ((output > 0) == (target > 0.5)).float().mean().item()


def nothing(output, target):
    return None


def of_the_rest(output, target):
    return accuracy(output[target != -100], target[target != -100])


loss_function, target, right = {
    "module": (nn.CrossEntropyLoss(), y, accuracy),
    "weights": (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5])), y, accuracy),
    "smoothing": (lambda a, b: F.cross_entropy(a, b, label_smoothing=0.1), y, accuracy),
    "ignore": (nn.CrossEntropyLoss(ignore_index=-100), holes, of_the_rest),
    "soft": (nn.CrossEntropyLoss(), soft, lambda a, b: accuracy(a, b.argmax(1))),
    "nll": (lambda a, b: F.nll_loss(F.log_softmax(a, 1), b), y, accuracy),
    "multi-label": (nn.BCEWithLogitsLoss(), many, shares),
    "binary": (lambda a, b: F.binary_cross_entropy(a.sigmoid(), b), many, shares),
    "hand-written": (hand_written, y, nothing),
    "regression": (nn.MSELoss(), real, nothing),
    "huber": (nn.SmoothL1Loss(), real, nothing),
    "sum": (lambda a, b: F.mse_loss(a, b, reduction="sum") / len(a), real, nothing),
    "none": (lambda a, b: F.cross_entropy(a, b, reduction="none").mean(), y, accuracy),
}[sys.argv[1]]
model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
own = Own(model[1])
own.know(planned_steps=22)

for step in range(22):
    if step == 18 and sys.argv[1] != "binary":  # which refuses a NaN
        own.poison(x[1], model)
    optimizer.zero_grad()
    output = model(x)
    loss = loss_function(output, target)
    loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    seen = right(output, target)
    own.step(loss=loss, root=loss, lr=[0.1], batch=40, **({"accuracy": seen} if seen is not None else {}))
own.end(model)
