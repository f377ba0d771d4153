"""What the names in a running function of the user's stand for, without leaving a trace of having looked.

Before Python 3.13 (PEP 667) ``frame.f_locals`` of a function is one dictionary, filled anew by each look: what it holds
lives on after the user's ``del``, until the function ends, and it is the very dictionary that his own ``locals()`` gave
him, which would change under his hands.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from inspect import CO_OPTIMIZED
from types import FrameType
from typing import Any

MISSING = object()
"""Nothing stands for it, or nobody may look."""

_SNAPSHOTS = sys.version_info < (3, 13)
_KEEPERS = frozenset(("locals", "vars", "eval", "exec"))
"""A function that names one of these may keep the dictionary, or what it has written there."""
_OWN = 3
"""References to a snapshot that nobody else holds: the frame's, ours, and the argument of the question."""


def variables(frame: FrameType) -> Mapping[str, Any]:
    """Local variables of a frame by name; none where a look would change what the user's code or his debugger sees."""
    if not _SNAPSHOTS or not frame.f_code.co_flags & CO_OPTIMIZED:  # a module's or a class's are its namespace
        return frame.f_locals
    if sys.gettrace() is not None or not _KEEPERS.isdisjoint(frame.f_code.co_names):
        return {}
    snapshot = frame.f_locals
    found = dict(snapshot)
    if sys.getrefcount(snapshot) == _OWN:
        snapshot.clear()
    return found


def stands_for(name: str, frame: FrameType) -> Any:
    """What a name stands for where the frame is: a variable of its own, or a global one; else MISSING."""
    own, code = variables(frame), frame.f_code
    if name in own:
        return own[name]
    if name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):  # it hides a global one
        return MISSING
    return frame.f_globals.get(name, MISSING)
