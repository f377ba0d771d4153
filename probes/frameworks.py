"""What frameworks know of a training by themselves: that they drive it, how long it will be, and what they log.

Each is one patch on the method where the framework's own numbers pass, put there when the user's code imports the
module. What is measured of the training itself needs none of this, but for Keras and fastai, whose optimizers are not
torch's.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from torch.utils.data import dataloader

from .arrivals import Arrivals, Then
from .stand_ins import Fastai, Keras, StandIn
from .watch import Watch

Told = Callable[..., None]


class Frameworks:
    """The patches on frameworks; they stay until ``remove``."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._undo: list[Callable[[], None]] = []
        self._stand_ins: weakref.WeakKeyDictionary[Any, StandIn] = weakref.WeakKeyDictionary()
        self._ignite = False
        wanted: dict[str, Then] = {
            "transformers.trainer": lambda module: self._after(module.Trainer, "log", self._transformers_logs),
            "transformers.trainer_callback": lambda module: self._after(
                module.CallbackHandler, "on_train_begin", self._transformers_begins
            ),
            "accelerate.accelerator": self._accelerate,
            "keras.src.callbacks.callback_list": self._keras_callbacks,
            "keras.src.optimizers.base_optimizer": self._keras_optimizer,
            "ignite.engine.engine": lambda module: self._around(
                module.Engine, "_fire_event", self._ignite_fires, self._ignite_fired
            ),
            "skorch.history": lambda module: self._after(module.History, "record", self._skorch_records),
            "skorch.net": lambda module: self._before(module.NeuralNet, "fit_loop", self._skorch_begins),
            "fastai.data.load": self._fastai_loaders,
            "fastai.optimizer": self._fastai_optimizer,
            "fastai.learner": self._fastai_learner,
        }
        for package in ("lightning.pytorch", "pytorch_lightning"):
            logs = f"{package}.trainer.connectors.logger_connector.logger_connector"
            wanted[logs] = lambda module: self._before(module._LoggerConnector, "log_metrics", self._lightning_logs)
            fit = f"{package}.loops.fit_loop"
            wanted[fit] = lambda module: self._after(module._FitLoop, "on_run_start", self._lightning_begins)
        self._arrivals = Arrivals(wanted, self._failed)

    def remove(self) -> None:
        self._arrivals.remove()
        while self._undo:
            self._undo.pop()()

    def _failed(self, error: Exception) -> None:
        self._watch.probes.failed("framework", error)

    def _after(self, owner: Any, name: str, told: Told) -> None:
        """Have ``told(self, *args, **kwargs)`` called after each call of a method."""
        self._around(owner, name, _nothing, told)

    def _before(self, owner: Any, name: str, told: Told) -> None:
        self._around(owner, name, told, _nothing)

    def _around(self, owner: Any, name: str, before: Told, after: Told) -> None:
        original = getattr(owner, name)
        run = self._watch.probes.run

        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            run("framework", lambda: before(*args, **kwargs))
            result = original(*args, **kwargs)
            run("framework", lambda: after(*args, **kwargs))
            return result

        setattr(owner, name, wrapper)
        self._undo.append(lambda: setattr(owner, name, original))

    def _log(self, values: Iterable[tuple[str, Any]]) -> None:
        self._watch.user.log({name: value for name, value in values if not isinstance(value, bool | str | None)})

    def _drives(self, framework: str, steps: float = 0, said: str = "") -> None:
        """``steps``: optimizer steps that it plans; 0, infinite or negative where it does not."""
        self._watch.script.driven(framework, int(steps) if 0 < steps < math.inf else None, said)

    # Lightning

    def _lightning_begins(self, loop: Any) -> None:
        trainer = loop.trainer
        said = f"Trainer(max_epochs={trainer.max_epochs}, max_steps={trainer.max_steps})"
        self._drives("lightning", trainer.estimated_stepping_batches, said)

    def _lightning_logs(self, connector: Any, metrics: Any, step: Any = None) -> None:
        self._log(metrics.items())

    # Hugging Face

    def _transformers_begins(self, handler: Any, args: Any, state: Any, control: Any) -> None:
        said = f"TrainingArguments(max_steps={args.max_steps})"
        if args.max_steps <= 0:
            said = f"TrainingArguments(num_train_epochs={args.num_train_epochs:g})"
        self._drives("transformers", state.max_steps, said)

    def _transformers_logs(self, trainer: Any, logs: Any, *args: Any, **kwargs: Any) -> None:
        self._log(logs.items())

    def _accelerate(self, module: Any) -> None:
        self._after(module.Accelerator, "prepare", self._accelerate_prepares)
        self._before(module.Accelerator, "log", lambda self_, values, *args, **kwargs: self._log(values.items()))

    def _accelerate_prepares(self, *args: Any, **kwargs: Any) -> None:
        if self._watch.script.framework is None:  # others are built on it
            self._drives("accelerate")

    # Keras

    def _keras_callbacks(self, module: Any) -> None:
        self._after(module.CallbackList, "on_train_begin", self._keras_begins)
        self._after(module.CallbackList, "on_epoch_end", self._keras_logs)

    def _keras_begins(self, callbacks: Any, logs: Any = None) -> None:
        epochs, steps = callbacks.params.get("epochs") or 0, callbacks.params.get("steps") or 0
        self._drives("keras", epochs * steps, f"fit(epochs={epochs})")

    def _keras_logs(self, callbacks: Any, epoch: int, logs: Any = None) -> None:
        self._log((logs or {}).items())

    def _keras_optimizer(self, module: Any) -> None:
        self._after(module.BaseOptimizer, "build", lambda optimizer, variables: self._stands_in(Keras, optimizer))
        self._around(module.BaseOptimizer, "apply", self._before_step, self._after_step)

    def _stands_in(self, kind: type[StandIn], optimizer: Any) -> None:
        if optimizer not in self._stand_ins:
            self._stand_ins[optimizer] = made = kind.of(optimizer)
            self._watch.optimizer_made(made)  # type: ignore[arg-type]

    def _before_step(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer in self._stand_ins:
            self._watch.stepping.before(self._stand_ins[optimizer], False)  # type: ignore[arg-type]

    def _after_step(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer in self._stand_ins:
            self._watch.stepping.after(self._stand_ins[optimizer], False)  # type: ignore[arg-type]

    # Ignite

    def _ignite_fires(self, engine: Any, event: Any, *args: Any, **kwargs: Any) -> None:
        """The first engine that completes an iteration after a backward pass is the one that trains."""
        if not self._ignite and self._watch.lane.backwards and event.name == "ITERATION_COMPLETED":
            self._ignite = True
            epochs = engine.state.max_epochs
            self._watch.script.driven("ignite", None, f"run(max_epochs={epochs})", epochs)

    def _ignite_fired(self, engine: Any, event: Any, *args: Any, **kwargs: Any) -> None:
        if event.name == "EPOCH_COMPLETED":
            self._log(engine.state.metrics.items())

    # skorch

    def _skorch_begins(self, net: Any, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> None:  # noqa: N803
        rounds = net.max_epochs if epochs is None else epochs
        self._watch.script.driven("skorch", None, f"max_epochs={rounds}", rounds)

    def _skorch_records(self, history: Any, name: str, value: Any) -> None:
        if name != "epoch":
            self._log([(name, value)])

    # fastai

    def _fastai_loaders(self, module: Any) -> None:
        """Its loaders are none of torch's, but their iterators are."""

        def began(iterator: Any, made_for: Any) -> None:
            if isinstance(made_for, module._FakeLoader):
                self._watch.loaders.began(made_for.d, iterator)
                settings = {name: getattr(made_for.d, name) for name in ("shuffle", "pin_memory", "drop_last")}
                settings |= {"batch_size": made_for.d.bs, "workers": made_for.num_workers}
                self._watch.once.feeding.told(made_for.d, settings)

        self._after(dataloader._BaseDataLoaderIter, "__init__", began)

    def _fastai_optimizer(self, module: Any) -> None:
        self._after(module.Optimizer, "__init__", lambda optimizer, *_, **__: self._stands_in(Fastai, optimizer))
        self._around(module.Optimizer, "step", self._before_step, self._after_step)
        self._after(module.Optimizer, "load_state_dict", self._fastai_restored)

    def _fastai_restored(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer in self._stand_ins:
            self._watch.segments.optimizer_loaded(self._stand_ins[optimizer])  # type: ignore[arg-type]

    def _fastai_learner(self, module: Any) -> None:
        self._before(module.Learner, "_do_fit", self._fastai_begins)
        self._after(module.Recorder, "after_epoch", self._fastai_logs)

    def _fastai_begins(self, learner: Any) -> None:
        """fit() goes on from an earlier one: fine_tune() calls it twice. Not from what lr_find() tried."""
        made = 0 if self._watch.segments.turns else self._watch.lane.epoch
        epochs = made + learner.n_epoch
        self._watch.script.driven("fastai", None, f"fit(n_epoch={learner.n_epoch})", epochs)

    def _fastai_logs(self, recorder: Any) -> None:
        names = [name for name in recorder.metric_names if name not in ("epoch", "time")]
        if len(names) == len(recorder.final_record):  # else a part of the epoch was left out
            self._log(zip(names, recorder.final_record, strict=True))


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass
