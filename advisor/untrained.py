"""Parameters that no step changes: what is said of them, whatever keeps them where they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnwatch.frame import Evidence, Remedy, Severity

from .context import Context
from .finding import Found


def moved(at: Context, name: str) -> bool:
    """Whether a step has ever changed this parameter."""
    changes = _changes(at, name)
    return bool(np.any(changes > 0))


def stood_still(at: Context, name: str, steps: int) -> bool:
    """Whether so many steps of its optimizer were measured, none of which changed it."""
    changes = _changes(at, name)
    return len(changes) >= steps and not np.any(changes)


def uncalled(at: Context, names: Sequence[str]) -> bool:
    """Whether no pass has called a module that holds one of them, while others were: made and not used."""
    called = {str(row[0]): row[4] for row in at.facts.get("modules") or () if len(row) > 4}
    holders = [name.rpartition(".")[0] for name in names]
    return any(called.values()) and all(not called.get(holder, "unknown") for holder in holders)


def _changes(at: Context, name: str) -> np.ndarray:
    """Its update ratios, as far as they were measured."""
    if not at.has("update.ratio"):
        return np.empty(0)
    view = at.view("update.ratio")
    values = view.thin(400).values[:, view.names.index(name)] if name in view.names else np.empty(0)
    return values[np.isfinite(values)]


def untrained(
    at: Context,
    names: Sequence[str],
    severity: Severity,
    what: str,
    why: str,
    remedies: tuple[Remedy, ...],
    otherwise: str,
) -> Found:
    """The exact finding that some parameters, the first of them as its layer, are never trained."""
    begin = at.track.segment.first_step + 1
    return Found(
        severity,
        what,
        (why,),
        begin,
        (Evidence("update.ratio", 0.0, None, "change of what is never trained", begin, at.step, names[0]),),
        remedies,
        otherwise,
        layer=names[0],
        exact=True,
    )
