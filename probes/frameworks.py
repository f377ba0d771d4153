"""What frameworks know of a training by themselves: that they drive it, how long it will be, and what they log.

Each is one patch on the method where the framework's own numbers pass, put there when the user's code imports the
module. What is measured of the training itself needs none of this, but for Keras, whose optimizers are not torch's.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .arrivals import Arrivals, Then
from .watch import Watch

Told = Callable[..., None]


class Frameworks:
    """The patches on frameworks; they stay until ``remove``."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._undo: list[Callable[[], None]] = []
        self._keras: weakref.WeakKeyDictionary[Any, _KerasOptimizer] = weakref.WeakKeyDictionary()
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
        self._after(module.BaseOptimizer, "build", self._keras_built)
        self._around(module.BaseOptimizer, "apply", self._keras_applies, self._keras_applied)

    def _keras_built(self, optimizer: Any, variables: Any) -> None:
        if optimizer not in self._keras:
            self._keras[optimizer] = stands = _stand_in(optimizer)
            self._watch.script.optimizer_made(stands)  # type: ignore[arg-type]

    def _keras_applies(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer in self._keras:
            self._watch.before_step(self._keras[optimizer], False)  # type: ignore[arg-type]

    def _keras_applied(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if optimizer in self._keras:
            self._watch.after_step(self._keras[optimizer], False)  # type: ignore[arg-type]

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


class _KerasOptimizer:
    """A Keras optimizer as one of torch's: its parameters, and the learning rate as it is now."""

    def __init__(self, optimizer: Any) -> None:
        self.state: dict[Any, Any] = {}
        self._optimizer = weakref.ref(optimizer)
        self._parameters = [variable.value for variable in optimizer._trainable_variables]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        optimizer = self._optimizer()
        rate = optimizer.learning_rate if optimizer is not None else math.nan
        return [{"params": self._parameters, "lr": getattr(rate, "value", rate)}]


def _stand_in(optimizer: Any) -> _KerasOptimizer:
    """Named as the optimizer's class, for the facts."""
    made: _KerasOptimizer = type(type(optimizer).__name__, (_KerasOptimizer,), {})(optimizer)
    return made


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass
