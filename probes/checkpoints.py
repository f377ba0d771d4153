"""Checkpoints: which files a script saves and loads, and at which step a training that was loaded from one goes on."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

STEPS = ("global_step", "step", "steps", "iteration", "iter", "num_updates", "n_iter", "it")
"""Names under which scripts keep their own count of steps, the surest first."""
EPOCHS = ("epoch", "current_epoch", "epochs_run")
STATES = 16
"""Parameters of an optimizer whose step counts are read."""
TOLD = 1000
"""Saves and loads that are told, at most: a data set may lie in files of this kind too."""


class Checkpoints:
    """``tell(name, data)`` takes an event. Keeps no object that was saved or loaded."""

    def __init__(self, tell: Callable[[str, dict[str, Any]], None]) -> None:
        self._tell = tell
        self._told = 0
        self.files: list[str] = []
        """That were read, in order."""
        self._loaded: dict[str, Any] | None = None
        self._epochs: dict[str, int | None] = {}
        """That the files hold which were read, by path."""
        self._weights: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._optimizers: weakref.WeakKeyDictionary[torch.optim.Optimizer, dict[str, Any] | None]
        self._optimizers = weakref.WeakKeyDictionary()

    def saved(self, content: Any, place: Any) -> None:
        """``content`` was written to ``place``, a path or an open file."""
        self._note("checkpoint.saved", content, place)

    def loaded(self, content: Any, place: Any) -> None:
        """``content`` was read from ``place``."""
        found = self._note("checkpoint.loaded", content, place)
        if found is not None:
            self._loaded = found
            self._epochs[found["path"]] = _epoch_of(content)
            self.files.append(found["path"])

    def _note(self, name: str, content: Any, place: Any) -> dict[str, Any] | None:
        named = isinstance(place, str | os.PathLike)
        path = place if named else getattr(place, "name", None)
        if not isinstance(path, str | os.PathLike) or not is_checkpoint(content) or self._told >= TOLD:
            return None
        self._told += 1
        path = os.path.realpath(path)
        data: dict[str, Any] = {"path": path, "step": step_of(content)}
        if named:  # an open file is not as long yet as it will be
            found = os.stat(path)
            data |= {"size": found.st_size, "modified": found.st_mtime_ns}
        self._tell(name, data)
        return data

    def weights_loaded(self, module: nn.Module, left: Any) -> None:
        """module.load_state_dict() was called; weights that come from no file are the script's own. With strict=False
        nothing but the keys that are ``left`` (torch's _IncompatibleKeys) says that none of them fitted."""
        missing, unexpected = (list(getattr(left, f"{kind}_keys", ())) for kind in ("missing", "unexpected"))
        own = [name for name, _ in module.named_parameters()] if missing and unexpected else []
        if own and set(missing).issuperset(own):
            names = {"given": unexpected[0], "wanted": own[0]}
            file = {"path": self._loaded["path"]} if self._loaded is not None else {}
            self._tell("checkpoint.unused", {**file, "weights": len(own), **names})
        elif self._loaded is not None:
            self._weights.add(module)

    def optimizer_loaded(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizers[optimizer] = self._loaded

    def pretrained(self, roots: Iterable[nn.Module]) -> bool:
        """Were weights of one of these models, or of a part of it, read from a file?"""
        modules = [module for root in roots for module in root.modules()]
        if any(module in self._weights for module in modules):
            return True
        return any(_origin(module) for module in modules[:3])

    def first_step(self, optimizers: Iterable[torch.optim.Optimizer]) -> int:
        """Steps that were made before this process: as the optimizers' state says, else the file it was read from."""
        known = list(optimizers)
        taken = steps_taken(known)
        if taken is not None:
            return taken
        return max((found["step"] or 0 for found in self._read(known)), default=0)

    def epoch(self, optimizers: Iterable[torch.optim.Optimizer]) -> int | None:
        """As the file says that these were read from."""
        found = self._read(optimizers)
        return self._epochs[found[-1]["path"]] if found else None

    def _read(self, optimizers: Iterable[torch.optim.Optimizer]) -> list[dict[str, Any]]:
        """The files that optimizers were read from."""
        return [found for optimizer in optimizers if (found := self._optimizers.get(optimizer)) is not None]

    def resumed(self, optimizers: Iterable[torch.optim.Optimizer], first: int) -> dict[str, Any] | None:
        """The checkpoint that a training goes on from after ``first`` steps: the one its optimizer was read from."""
        files = self._read(optimizers)
        return {**files[-1], "step": first} if files and first else None


def _origin(module: nn.Module) -> bool:
    """Hugging Face fills a model without load_state_dict, and keeps the name of what it was filled from."""
    name = getattr(module, "name_or_path", None)
    return isinstance(name, str) and bool(name)


def is_checkpoint(content: Any) -> bool:
    """A module, a state_dict, or a mapping that holds one; not a sample of a data set."""
    if isinstance(content, nn.Module):
        return True
    if not isinstance(content, Mapping):
        return False
    return _is_state(content) or any(isinstance(part, nn.Module) or _is_state(part) for part in content.values())


def _is_state(content: Any) -> bool:
    if not isinstance(content, Mapping):
        return False
    if "param_groups" in content and "state" in content:
        return True
    tensors = [str(name) for name, value in content.items() if isinstance(value, torch.Tensor)]
    return any(name.rpartition(".")[2] in ("weight", "bias") for name in tensors) or (
        bool(tensors) and hasattr(content, "_metadata")  # what Module.state_dict() puts on it
    )


def step_of(content: Any) -> int | None:
    """The count of steps that a checkpoint holds: under a name of its own, in an optimizer's or a scheduler's state."""
    if not isinstance(content, Mapping):
        return None
    for name in STEPS:
        step = content.get(name)
        if isinstance(step, torch.Tensor) and step.is_cpu and step.numel() == 1:
            step = step.item()
        if isinstance(step, int | float) and not isinstance(step, bool) and step >= 0:
            return int(step)
    parts = [content, *content.values()]
    states = [part for part in parts if isinstance(part, Mapping) and "param_groups" in part]
    taken = [count for state in states if (count := _count(state.get("state"))) is not None]
    return max(taken) if taken else None


def _epoch_of(content: Any) -> int | None:
    held = content if isinstance(content, Mapping) else {}
    found = next((value for name in EPOCHS if type(value := held.get(name)) is int), None)
    return found if found is not None and found >= 0 else None


def steps_taken(optimizers: Iterable[torch.optim.Optimizer]) -> int | None:
    """Steps in the state of optimizers that count them (Adam's kind); None where none does."""
    taken = [count for optimizer in optimizers if (count := _count(optimizer.state)) is not None]
    return max(taken) if taken else None


def _count(state: Any) -> int | None:
    if not isinstance(state, Mapping):
        return None
    best: int | None = None
    for _, held in zip(range(STATES), state.values(), strict=False):
        step = held.get("step") if isinstance(held, Mapping) else None
        if isinstance(step, torch.Tensor):
            step = step.item() if step.is_cpu and step.numel() == 1 else None  # on a device it would be waited for
        if isinstance(step, int | float):
            best = max(best or 0, int(step))
    return best
