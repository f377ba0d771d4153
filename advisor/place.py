"""Where in the user's script the things are that a remedy changes: " (train.py:41)", or "" where that is not known."""

from __future__ import annotations

from typing import Any

from .context import Context


def _written(place: Any) -> str:
    return f" ({place})" if place else ""


def of(at: Context, fact: str) -> str:
    """Of what a fact tells of: where "backward" or the "loss" is called, "output" comes out of the last layer, the
    "loader" or "val_loader" is made, "validation" computes its loss, "evaluating" was begun by eval()."""
    return _written((at.facts.get(fact) or {}).get("where"))


def of_optimizer(at: Context) -> str:
    return _written(at.optimizer.get("where"))


def of_loss(at: Context) -> str:
    return of(at, "loss")


def of_scheduler(at: Context) -> str:
    return _written(((at.facts.get("scheduler") or [{}])[0]).get("where"))


def of_layer(at: Context, name: str) -> str:
    """Where a module was made, or the module that holds a parameter."""
    return _of_module(at, name, 3)


def of_call(at: Context, name: str) -> str:
    """Where a module was first called, or the module that holds a parameter; the model itself is ""."""
    return _of_module(at, name, 4)


def _of_module(at: Context, name: str, column: int) -> str:
    places = {str(row[0]): row[column] for row in at.facts.get("modules") or () if len(row) > column}
    return _written(places.get(name) or places.get(name.rpartition(".")[0]))
