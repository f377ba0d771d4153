"""What frameworks know of a training by themselves: that they drive it, how long it will be, when they train and when
they validate, and what they log.

Each is one patch on the method where the framework's own numbers pass, put there when the user's code imports the
module. What is measured of the training itself needs none of this, but for `foreign.py`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .arrivals import Arrivals, Then
from .foreign import Fastai, Keras
from .framework import Framework
from .standby import Standby


class Frameworks:
    """The patches on all of them; they stay until ``remove``."""

    def __init__(self, standby: Standby) -> None:
        self._undo: list[Callable[[], None]] = []
        wanted: dict[str, Then] = {}
        for kind in (Lightning, Transformers, Accelerate, Keras, Ignite, Skorch, Fastai, Safetensors):
            wanted |= kind(standby, self._undo).modules()
        self._arrivals = Arrivals(wanted, lambda error: standby.probes.failed("framework", error))

    def remove(self) -> None:
        self._arrivals.remove()
        while self._undo:
            self._undo.pop()()


class Lightning(Framework):
    name = "lightning"

    def modules(self) -> dict[str, Then]:
        wanted: dict[str, Then] = {}
        for package in ("lightning.pytorch", "pytorch_lightning"):
            logs = f"{package}.trainer.connectors.logger_connector.logger_connector"
            wanted[logs] = lambda module: self.before(module._LoggerConnector, "log_metrics", self._logged)
            wanted[f"{package}.loops.fit_loop"] = self._fits
            wanted[f"{package}.loops.evaluation_loop"] = lambda module: self.around(
                module._EvaluationLoop, "run", self.validates, self._validated
            )
        return wanted

    def _fits(self, module: Any) -> None:
        self.after(module._FitLoop, "on_run_start", self._begins)
        self.before(module._FitLoop, "advance", self.trains)

    def _begins(self, loop: Any) -> None:
        trainer = loop.trainer
        said = f"Trainer(max_epochs={trainer.max_epochs}, max_steps={trainer.max_steps})"
        self.drives(said, trainer.estimated_stepping_batches)

    def _validated(self, loop: Any) -> None:
        """In the middle of an epoch training goes on."""
        trainer = loop.trainer
        if trainer.state.fn == "fit" and trainer.validating and not trainer.fit_loop.epoch_loop._is_training_done:
            self.trains()

    def _logged(self, connector: Any, metrics: Any, step: Any = None) -> None:
        self.logs(metrics.items())


class Transformers(Framework):
    name = "transformers"

    def modules(self) -> dict[str, Then]:
        return {"transformers.trainer": self._trainer, "transformers.trainer_callback": self._callbacks}

    def _trainer(self, module: Any) -> None:
        self.after(module.Trainer, "log", lambda _, logs, *args, **kwargs: self.logs(logs.items()))
        self.before(module.Trainer, "evaluate", self.validates)

    def _callbacks(self, module: Any) -> None:
        self.after(module.CallbackHandler, "on_train_begin", self._begins)
        self.after(module.CallbackHandler, "on_evaluate", self._evaluated)

    def _begins(self, handler: Any, args: Any, state: Any, control: Any) -> None:
        said = f"TrainingArguments(max_steps={args.max_steps})"
        if args.max_steps <= 0:
            said = f"TrainingArguments(num_train_epochs={args.num_train_epochs:g})"
        self.drives(said, state.max_steps)
        self.trains()

    def _evaluated(self, handler: Any, args: Any, state: Any, control: Any, metrics: Any) -> None:
        if state.global_step < state.max_steps:
            self.trains()


class Accelerate(Framework):
    name = "accelerate"

    def modules(self) -> dict[str, Then]:
        return {"accelerate.accelerator": self._accelerator}

    def _accelerator(self, module: Any) -> None:
        self.after(module.Accelerator, "prepare", self._prepares)
        self.before(module.Accelerator, "log", lambda _, values, *args, **kwargs: self.logs(values.items()))

    def _prepares(self, *args: Any, **kwargs: Any) -> None:
        if self.watch.script.framework is None:  # others are built on it
            self.drives()


class Ignite(Framework):
    name = "ignite"
    _trainer: weakref.ref[Any] | None = None
    """The first engine that completes an iteration after a backward pass."""
    _began = 0
    """Step after which an epoch began while that was not known."""
    _inside = False
    """An epoch of that engine is under way."""

    def modules(self) -> dict[str, Then]:
        return {"ignite.engine.engine": self._engine}

    def _engine(self, module: Any) -> None:
        self.around(module.Engine, "_fire_event", self._fires, self._fired)

    def _fires(self, engine: Any, event: Any, *args: Any, **kwargs: Any) -> None:
        started = event.name == "EPOCH_STARTED"
        if self._trainer is None:
            if started:
                self._began = self.watch.step
            elif self.watch.lane.backwards and event.name == "ITERATION_COMPLETED":
                self._trainer, self._inside = weakref.ref(engine), True
                epochs = engine.state.max_epochs
                self.drives(f"run(max_epochs={epochs})", epochs=epochs)
                self.watch.phase("train", self._began)
        elif started or event.name == "EPOCH_COMPLETED":
            trains = self._trainer() is engine
            if trains:
                self._inside = started
            if started:
                self.watch.phase("train" if trains else "val")

    def _fired(self, engine: Any, event: Any, *args: Any, **kwargs: Any) -> None:
        if event.name == "EPOCH_COMPLETED":
            self.logs(engine.state.metrics.items())
        elif event.name == "COMPLETED" and self._inside:  # an evaluation in the middle of an epoch
            self.trains()


class Skorch(Framework):
    name = "skorch"

    def modules(self) -> dict[str, Then]:
        return {
            "skorch.history": lambda module: self.after(module.History, "record", self._records),
            "skorch.net": self._net,
        }

    def _net(self, module: Any) -> None:
        self.before(module.NeuralNet, "fit_loop", self._begins)
        self.before(module.NeuralNet, "run_single_epoch", self._goes_over)

    def _begins(self, net: Any, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> None:  # noqa: N803
        rounds = net.max_epochs if epochs is None else epochs
        self.drives(f"max_epochs={rounds}", epochs=rounds)

    def _goes_over(self, net: Any, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        if iterator is not None:
            self.watch.phase("train" if training else "val")

    def _records(self, history: Any, name: str, value: Any) -> None:
        if name != "epoch":
            self.logs([(name, value)])


class Safetensors(Framework):
    """No framework, but checkpoints too are written by it: Hugging Face's, and many a script's."""

    def modules(self) -> dict[str, Then]:
        return {"safetensors.torch": self._files}

    def _files(self, module: Any) -> None:
        """save_model() and load_model() call these in turn."""
        self.follow(module, "save_file", self._saved)
        self.follow(module, "load_file", self._loaded)

    def _saved(self, _: None, tensors: Any, filename: Any, *args: Any, **kwargs: Any) -> None:
        self.watch.checkpoints.saved(tensors, filename)

    def _loaded(self, content: Any, filename: Any, *args: Any, **kwargs: Any) -> None:
        self.watch.checkpoints.loaded(content, filename)
