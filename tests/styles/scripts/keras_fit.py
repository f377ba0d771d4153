"""Keras 3 on torch: fit() with validation."""

import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
from own import Own

keras.utils.set_random_seed(0)
x, y = np.random.randn(56, 5).astype("float32"), np.random.randint(0, 3, 56)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
user = {"loss": [], "accuracy": [], "val_loss": []}
model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)])
own = Own(model.layers[0])
own.know(framework="keras", planned_steps=15, steps_per_epoch=5, user=user, classes=3)


class Adam(keras.optimizers.Adam):
    def apply(self, grads, trainable_variables=None):
        own.gradients(model.named_parameters())
        return super().apply(grads, trainable_variables)


model.compile(Adam(), LOSS, metrics=["accuracy"])


class Watcher(keras.callbacks.Callback):
    """A loss it is told of is the mean of the epoch so far."""

    def on_train_batch_end(self, batch, logs):
        total = logs["loss"] * (batch + 1)
        before, self.total = (self.total if batch else 0.0), total
        own.step(loss=total - before, lr=[0.001], batch=8, epoch=self.epoch + 1)

    def on_test_batch_end(self, batch, logs):
        total = logs["loss"] * (batch + 1)
        before, self.tested = (self.tested if batch else 0.0), total
        own.validated(total - before, 8)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        own.phase("train")

    def on_test_begin(self, logs=None):
        own.phase("val")

    def on_epoch_end(self, epoch, logs):
        for name, values in user.items():
            values.append([5 * (epoch + 1), logs[name]])


model.fit(x[:40], y[:40], 8, 3, verbose=0, callbacks=[Watcher()], validation_data=(x[40:], y[40:]))
own.end([variable.value for variable in model.trainable_variables])
