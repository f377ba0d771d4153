"""Where in the user's script the things are that a remedy changes: " (train.py:41)", or "" where that is not known."""

from __future__ import annotations

from typing import Any

from .context import Context


def _written(place: Any) -> str:
    return f" ({place})" if place else ""


def of_optimizer(at: Context) -> str:
    return _written(at.optimizer.get("where"))


def of_loss(at: Context) -> str:
    return _written((at.facts.get("loss") or {}).get("where"))


def of_scheduler(at: Context) -> str:
    return _written(((at.facts.get("scheduler") or [{}])[0]).get("where"))


def of_layer(at: Context, name: str) -> str:
    """Of a module, or of the module that holds a parameter."""
    places = {str(row[0]): row[3] for row in at.facts.get("modules") or () if len(row) > 3}
    return _written(places.get(name) or places.get(name.rpartition(".")[0]))
