"""skorch: fit() of a classifier on arrays, a fifth of them for validation."""

import numpy as np
import torch
from own import Own
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

torch.manual_seed(0)
x, y = np.random.default_rng(0).normal(size=(50, 5)).astype("float32"), np.arange(50) % 2
own = Own()
user = {"train_loss": [], "valid_loss": [], "valid_acc": []}
own.know(framework="skorch", planned_steps=15, steps_per_epoch=5, user=user)


class Watcher(Callback):
    def on_grad_computed(self, net, named_parameters, **kwargs):
        own.gradients(net.module_.named_parameters())

    def on_epoch_begin(self, net, **kwargs):
        self.training = None

    def on_batch_begin(self, net, batch=None, training=False):
        if training is not self.training:
            self.training = training
            own.phase("train" if training else "val")

    def on_batch_end(self, net, batch=None, training=False, loss=None, y_pred=None, **kwargs):
        if training:
            own.step(loss=loss, root=loss, lr=[0.1], batch=8, epoch=len(net.history))
        else:
            own.validated(loss, len(y_pred))

    def on_epoch_end(self, net, **kwargs):
        for name, values in user.items():
            values.append([5 * len(net.history), float(net.history[-1, name])])


net = NeuralNetClassifier(
    nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)),
    criterion=nn.CrossEntropyLoss, optimizer=torch.optim.SGD, lr=0.1, max_epochs=3, batch_size=8, verbose=0,
    callbacks=[Watcher()],
)  # fmt: skip
net.fit(x, y)
own.end(net.module_)
