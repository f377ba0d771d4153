"""What a training script measures of itself, written down for a comparison with what was recorded of it."""

import hashlib
import json
import os
import warnings
from collections import defaultdict
from pathlib import Path

import torch

warnings.filterwarnings("ignore")  # frameworks talk about versions; the tests read stderr


class Own:
    """Values by step, under the names of the table in ``compare.py``. A rank of several writes a file of its own."""

    def __init__(self, activation=None):
        self.steps = defaultdict(list)
        self.val = []
        self.more = {}
        self._open = True
        self._activation = None
        if activation is not None:
            activation.register_forward_hook(self._activated)

    def _activated(self, module, args, output):
        if module.training and torch.is_grad_enabled():
            self._activation = output.detach().double().std(correction=0).item()

    def gradients(self, parameters):
        """Between the backward pass and the step: the gradients as the optimizer gets them, the weights as they were.

        ``parameters``: (name, tensor) pairs, those without a gradient are left out.
        """
        if not self._open:
            return
        self._before = [(name, p, p.detach().clone()) for name, p in parameters if p.grad is not None]
        each = {name: p.grad.norm().item() for name, p, _ in self._before}
        self.steps["gradients"].append(each)
        self.steps["gradient"].append(sum(norm**2 for norm in each.values()) ** 0.5)

    def step(self, **values):
        """After the step: what the script knows of it."""
        if not self._open:
            return
        before, self._before = getattr(self, "_before", []), []
        if before:
            self.steps["weights"].append({name: old.norm().item() for name, _, old in before})
            updates = {name: _ratio(old, p.detach()) for name, p, old in before}
            self.steps["updates"].append(updates)
        if self._activation is not None:
            self.steps["activation"].append(self._activation)
        for name, value in values.items():
            self.steps[name].append(value.tolist() if isinstance(value, torch.Tensor) else value)

    def validated(self, loss, rows, right=None, step=None):
        """A batch of validation; ``right`` is its share of right predictions."""
        if self._open:
            done = self._done() if step is None else step
            right = right.tolist() if isinstance(right, torch.Tensor) else right
            self.val.append({"step": done, "loss": float(loss), "rows": rows, "accuracy": right})

    def phase(self, name):
        """What it does from now on: "train" or "val"."""
        if self._open:
            self.more.setdefault("phases", []).append([name, self._done()])

    def know(self, **values):
        """What is true of the whole run."""
        if self._open:
            self.more.update(values)

    def _done(self):
        return max(map(len, self.steps.values()), default=0)

    def poison(self, tensor, model):
        """The last thing to do before a step more: a NaN gets into the data, and what follows is not compared."""
        self.end(model, poisoned=self._done() + 1)
        tensor.fill_(float("nan"))

    def end(self, model, **values):
        """Write it all down. ``model``: a module, or the trained tensors."""
        if not self._open:
            return
        if isinstance(model, torch.nn.Module):
            parameters = list(model.parameters())
            self.know(model=[type(model).__name__, sum(p.numel() for p in parameters)])
            model = parameters
        digest = hashlib.sha256()
        for tensor in model:
            local = tensor.detach().to_local() if hasattr(tensor, "to_local") else tensor.detach()
            digest.update(local.contiguous().view(torch.uint8).numpy().tobytes())
        self.know(weights=digest.hexdigest(), **values)
        self._open = False
        told = {"steps": self.steps, "val": self.val, "more": self.more, "pid": os.getpid()}
        Path(f"own-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(told))


def _ratio(old, new):
    norm = old.norm().item()
    return (new - old).norm().item() / norm if norm else float("nan")


def accuracy(output, target):
    return (output.argmax(1) == target).float().mean().item()


def moments(tensor):
    """Mean and standard deviation, of the population."""
    return [tensor.mean().item(), tensor.std(correction=0).item()]
