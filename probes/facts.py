"""What is known about the script: the facts table of nnwatch/README.md. Absent means not known."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from . import reduction
from .loss import Term
from .model import Model, unwrapped
from .source import Line

NAMES = 200
"""Names of parameters listed, at most."""
KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "batchnorm": (nn.modules.batchnorm._BatchNorm,),
    "dropout": (nn.modules.dropout._DropoutNd,),
    "recurrent": (nn.RNNBase, nn.RNNCellBase),
    "layernorm": (nn.LayerNorm, nn.GroupNorm),
    "relu": (nn.ReLU, nn.ReLU6),
    "sigmoid": (nn.Sigmoid,),
    "tanh": (nn.Tanh,),
}


def process(script: str, framework: str | None) -> dict[str, Any]:
    """The versions, and what drives the loop."""
    return {
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "framework": framework,
        "script": script,
    }


def model(model: Model) -> dict[str, Any]:
    roots = model.roots
    parameters = [parameter for root in roots for parameter in root.parameters()] or model.parameters()
    modules = [module for root in roots for module in root.modules()]
    facts: dict[str, Any] = {
        "model": {
            "class": " + ".join(type(unwrapped(root)).__name__ for root in roots) or None,
            "parameters": sum(parameter.numel() for parameter in parameters),
            "trainable": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        },
        "unoptimized": model.unoptimized[:NAMES],
        "frozen": model.frozen[:NAMES],
        "device": parameters[0].device.type if parameters else None,
        "sharded": _sharded(parameters),
    }
    if modules:
        facts["layers"] = {name: sum(isinstance(m, kinds) for m in modules) for name, kinds in KINDS.items()}
    return facts


def _sharded(parameters: Iterable[torch.Tensor]) -> str | None:
    """``data``: parameters are in shards over all ranks, each of which has data of its own (FSDP2). ``model``: they are
    also in shards for another reason, so that some ranks work on the same samples. None: all are whole."""
    shards: list[Any] = [p for p in parameters if hasattr(p, "to_local")]
    if not shards:
        return None
    ranks = torch.distributed.get_world_size()
    once = all(p.device_mesh.size() == ranks and sum(q.is_shard() for q in p.placements) < 2 for p in shards)
    return "data" if once else "model"


def optimizers(found: Iterable[tuple[torch.optim.Optimizer, list[Line]]]) -> list[dict[str, Any]]:
    """One entry each, in the order they first stepped."""
    return [_optimizer(optimizer, made) for optimizer, made in found]


def _optimizer(optimizer: torch.optim.Optimizer, made: list[Line]) -> dict[str, Any]:
    groups = optimizer.param_groups
    facts: dict[str, Any] = {
        "class": type(optimizer).__name__,
        "lr": [float(group["lr"]) for group in groups if "lr" in group],
        "groups": len(groups),
    }
    for name in ("betas", "momentum", "weight_decay", "eps", "nesterov"):
        if name in groups[0]:
            facts[name] = groups[0][name]
    if made:
        facts["where"] = str(made[0])
    return facts


def loss(term: Term, where: list[Line]) -> dict[str, Any]:
    """The loss function, and the number of classes where it has them; it is called where its term says, or near where
    its backward pass begins."""
    weight = term.option("weight", 2, None) if term.name != "mse_loss" else None
    weights = (weight, term.kwargs.get("pos_weight"))
    facts: dict[str, Any] = {"name": term.name, "weighted": any(isinstance(one, torch.Tensor) for one in weights)}
    facts["reduction"] = reduction.of(term)
    if "label_smoothing" in term.kwargs:
        facts["label_smoothing"] = float(term.kwargs["label_smoothing"])
    if term.site is not None or where:
        facts["where"] = str(where[0]) if term.site is None else term.site.removeprefix(f"{term.name} ")
    output = term.input
    if term.name in ("cross_entropy", "nll_loss") and output is not None and output.dim() > 1:
        return {"loss": facts, "classes": output.shape[1]}
    return {"loss": facts}
