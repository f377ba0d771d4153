"""fastai: a Learner on tensors, fit() and then fit() again, as fine_tune() does; its Recorder keeps the losses."""

import torch
from fastai.basics import Callback, DataLoader, DataLoaders, Learner, accuracy, set_seed
from own import Own
from own import accuracy as share_right
from torch import nn

set_seed(0)
x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
train, val = list(zip(x[:40], y[:40], strict=True)), list(zip(x[40:], y[40:], strict=True))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
own = Own(model[1])
user = {"train_loss": [], "valid_loss": [], "accuracy": []}
own.know(framework="fastai", planned_steps=15, steps_per_epoch=5, train_rows=40, val_rows=20, classes=3, user=user)


class Watcher(Callback):
    order = 60  # after the Recorder
    epochs = 0

    def before_train(self):
        own.phase("train")

    def before_validate(self):
        own.phase("val")

    def before_step(self):
        own.gradients(self.learn.model.named_parameters())

    def after_batch(self):
        right = share_right(self.pred, self.y)
        if self.training:
            rate = self.opt.hypers[0]["lr"]
            epoch = self.epochs + 1
            own.step(
                loss=self.loss_grad, root=self.loss_grad, lr=[rate], batch=len(self.y), epoch=epoch, accuracy=right
            )
        else:
            own.validated(self.loss, len(self.y), right)

    def after_epoch(self):
        self.epochs += 1
        for name, value in zip(user, self.recorder.final_record, strict=True):
            user[name].append([5 * self.epochs, value])


loaders = DataLoaders(DataLoader(train, bs=8, shuffle=True), DataLoader(val, bs=10))
learn = Learner(loaders, model, nn.CrossEntropyLoss(), metrics=accuracy, cbs=Watcher())
with learn.no_logging():
    learn.fit(1, 0.01)
    learn.fit(2, 0.005)
own.end(model)
