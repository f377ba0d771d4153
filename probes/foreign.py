"""Frameworks whose optimizers are none of torch's: their steps are told as torch's own tell theirs."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch.utils.data import dataloader

from . import stand_ins
from .arrivals import Then
from .framework import Framework
from .stand_ins import StandIn
from .standby import Standby


class Foreign(Framework):
    stand_in: type[StandIn]

    def __init__(self, standby: Standby, undo: list[Callable[[], None]]) -> None:
        super().__init__(standby, undo)
        self.known: weakref.WeakKeyDictionary[Any, StandIn] = weakref.WeakKeyDictionary()
        """What stands for an optimizer of the framework's."""

    def made(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer not in self.known:
            self.known[optimizer] = stands = self.stand_in.of(optimizer)
            self.watch.optimizer_made(stands)  # type: ignore[arg-type]

    def found(self, optimizer: Any) -> None:
        """One that was made before the probes came; one that is not built yet will say so."""
        if optimizer is not None and getattr(optimizer, "built", True):
            self.made(optimizer)

    def before_step(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        self.found(optimizer)
        if optimizer in self.known:
            self.watch.stepping.before(self.known[optimizer], False)  # type: ignore[arg-type]

    def after_step(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer in self.known:
            self.watch.stepping.after(self.known[optimizer], False)  # type: ignore[arg-type]


class Keras(Foreign):
    name = "keras"
    stand_in = stand_ins.Keras

    def modules(self) -> dict[str, Then]:
        return {
            "keras.src.callbacks.callback_list": self._callbacks,
            "keras.src.optimizers.base_optimizer": self._optimizer,
        }

    def _callbacks(self, module: Any) -> None:
        self.after(module.CallbackList, "on_train_begin", self._begins)
        self.before(module.CallbackList, "on_epoch_begin", self.trains)
        self.before(module.CallbackList, "on_test_begin", self.validates)
        self.after(module.CallbackList, "on_epoch_end", lambda _, epoch, logs=None: self.logs((logs or {}).items()))

    def _begins(self, callbacks: Any, logs: Any = None) -> None:
        self.found(getattr(callbacks.model, "optimizer", None))
        epochs, steps = callbacks.params.get("epochs") or 0, callbacks.params.get("steps") or 0
        self.drives(f"fit(epochs={epochs})", epochs * steps)

    def _optimizer(self, module: Any) -> None:
        self.after(module.BaseOptimizer, "build", self.made)
        self.around(module.BaseOptimizer, "apply", self.before_step, self.after_step)


class Fastai(Foreign):
    name = "fastai"
    stand_in = stand_ins.Fastai

    def modules(self) -> dict[str, Then]:
        return {
            "fastai.data.load": self._loaders,
            "fastai.optimizer": self._optimizer,
            "fastai.learner": self._learner,
        }

    def _loaders(self, module: Any) -> None:
        """They are none of torch's, but their iterators are."""

        def began(iterator: Any, made_for: Any) -> None:
            if isinstance(made_for, module._FakeLoader):
                loader = made_for.d
                self.watch.loaders.began(loader, iterator)
                settings = {name: getattr(loader, name) for name in ("shuffle", "pin_memory", "drop_last")}
                settings |= {"batch_size": loader.bs, "workers": made_for.num_workers}
                self.watch.once.feeding.told(loader, settings)

        self.after(dataloader._BaseDataLoaderIter, "__init__", began)

    def _optimizer(self, module: Any) -> None:
        self.after(module.Optimizer, "__init__", self.made)
        self.around(module.Optimizer, "step", self.before_step, self.after_step)
        self.after(module.Optimizer, "load_state_dict", self._restored)

    def _restored(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer in self.known:
            self.watch.segments.optimizer_loaded(self.known[optimizer])  # type: ignore[arg-type]

    def _learner(self, module: Any) -> None:
        self.before(module.Learner, "_do_fit", self._begins)
        self.before(module.Learner, "_do_epoch_train", self.trains)
        self.before(module.Learner, "_do_epoch_validate", self.validates)
        self.after(module.Recorder, "after_epoch", self._recorded)

    def _begins(self, learner: Any) -> None:
        """fit() goes on from an earlier one: fine_tune() calls it twice. Not from what lr_find() tried."""
        made = 0 if self.watch.segments.turns else self.watch.lane.epoch
        self.drives(f"fit(n_epoch={learner.n_epoch})", epochs=made + learner.n_epoch)

    def _recorded(self, recorder: Any) -> None:
        names = [name for name in recorder.metric_names if name not in ("epoch", "time")]
        if len(names) == len(recorder.final_record):  # else a part of the epoch was left out
            self.logs(zip(names, recorder.final_record, strict=True))
