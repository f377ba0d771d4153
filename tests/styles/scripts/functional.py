"""No module, no optimizer: F.* and ``w -= lr * g``; the gradient by backward() or by torch.autograd.grad."""

import sys

import torch
import torch.nn.functional as F
from own import Own, accuracy

torch.manual_seed(0)
x, y = torch.randn(32, 5), torch.randint(0, 3, (32,))
w1, w2 = torch.randn(8, 5, requires_grad=True), torch.randn(3, 8, requires_grad=True)
own = Own()
own.know(planned_steps=22, classes=3)

for step in range(22):
    if step == 18:
        own.poison(x[0], [w1, w2])
    output = F.linear(F.relu(F.linear(x, w1)), w2)
    loss = F.cross_entropy(output, y)
    if sys.argv[1] == "backward":
        loss.backward()
        grads = w1.grad, w2.grad
        w1.grad = w2.grad = None
    else:
        grads = torch.autograd.grad(loss, (w1, w2))
    with torch.no_grad():
        for w, grad in zip((w1, w2), grads, strict=True):
            w -= 0.1 * grad
    norm = torch.cat([grad.flatten() for grad in grads]).norm()
    own.step(loss=loss, root=loss, batch=32, accuracy=accuracy(output, y), gradient=norm)
